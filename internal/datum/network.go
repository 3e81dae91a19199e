package datum

import (
	"bytes"
	"cmp"
	"net/netip"
	"strconv"

	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// A network address (inet, cidr) is stored as its number of bits, 4 or 16
// bytes of the address: what an address is of follows from the length.

// Network is an address with the number of its leading bits that name its
// network.
type Network struct {
	Address []byte // 4 or 16 bytes
	Bits    int
}

// ReadNetwork takes a stored value apart.
func ReadNetwork(stored []byte) Network { return Network{stored[1:], int(stored[0])} }

// AppendNetwork appends a stored value.
func AppendNetwork(dst []byte, n Network) []byte {
	return append(append(dst, byte(n.Bits)), n.Address...)
}

// MaxBits is the number of bits of the address.
func (n Network) MaxBits() int { return len(n.Address) * 8 }

// Family is 4 or 6.
func (n Network) Family() int {
	if len(n.Address) == 4 {
		return 4
	}
	return 6
}

// parseNetwork reads an address with or without bits behind a slash. A cidr
// may leave out bytes at the end of an address of version 4, and has no bits
// set beyond its network's.
func parseNetwork(text []byte, cidr bool) (Network, *sqlerr.Error) {
	typeName := "inet"
	if cidr {
		typeName = "cidr"
	}
	address, suffix, slash := bytes.Cut(text, []byte("/"))
	var n Network
	var ok bool
	if bytes.IndexByte(text, ':') >= 0 {
		n, ok = parseVersion6(address, slash)
	} else {
		n, ok = parseVersion4(address, cidr, slash)
	}
	if ok && slash {
		written := n.Bits // what the bytes that are written stand for
		n.Bits, ok = parseBits(suffix, n.MaxBits())
		ok = ok && (cidr || n.Bits/8*8 <= written) && (n.Family() == 4 || len(suffix) == 1 || suffix[0] != '0')
	}
	if !ok {
		return n, invalidSyntax(typeName, text)
	}
	if cidr && n.hostBits() {
		return n, sqlerr.New(sqlerr.InvalidTextRepresentation, "invalid cidr value: \"%s\"", text)
	}
	return n, nil
}

func parseBits(s []byte, limit int) (int, bool) {
	n := 0
	for _, c := range s {
		if !isDigit(c) {
			return 0, false
		}
		if n = n*10 + int(c-'0'); n > limit {
			return 0, false
		}
	}
	return n, len(s) > 0
}

// parseVersion4 reads up to four bytes. Without bits a cidr has those of its
// class, or of the bytes that are written.
func parseVersion4(s []byte, cidr, slash bool) (Network, bool) {
	out := make([]byte, 4)
	if cidr && len(s) > 2 && s[0] == '0' && s[1]|0x20 == 'x' {
		return parseHexNetwork(s[2:])
	}
	if !cidr {
		s = bytes.TrimSuffix(s, []byte("."))
	}
	parts := bytes.Split(s, []byte("."))
	if len(parts) > 4 || len(parts) < 4 && !cidr && !slash {
		return Network{}, false
	}
	for i, p := range parts {
		if len(p) == 0 {
			return Network{}, false
		}
		n := 0
		for _, c := range p {
			if !isDigit(c) {
				return Network{}, false
			}
			if n = n*10 + int(c-'0'); n > 255 {
				return Network{}, false
			}
		}
		out[i] = byte(n)
	}
	bits := len(parts) * 8
	if cidr && !slash && len(parts) < 4 {
		if bits = max(classBits(out[0]), bits); bits == 8 && out[0] == 224 {
			bits = 4
		}
	}
	return Network{out, bits}, true
}

// parseHexNetwork reads a network's bytes in hexadecimal digits.
func parseHexNetwork(s []byte) (Network, bool) {
	out := make([]byte, 4)
	if len(s) > 8 {
		return Network{}, false
	}
	for i, c := range s {
		n := hexDigit(c)
		if n > 15 {
			return Network{}, false
		}
		out[i/2] |= n << (4 * (1 - i%2))
	}
	return Network{out, max(classBits(out[0]), (len(s)+1)/2*8)}, true
}

// classBits are those of the classes of addresses that there once were.
func classBits(first byte) int {
	switch {
	case first >= 240:
		return 32
	case first >= 224:
		return 8
	case first >= 192:
		return 24
	case first >= 128:
		return 16
	}
	return 8
}

// parseVersion6 reads eight groups, the last two of them as bytes in decimal
// where there are dots.
func parseVersion6(s []byte, slash bool) (Network, bool) {
	at := bytes.LastIndexByte(s, ':') + 1
	if bytes.IndexByte(s[at:], '.') >= 0 {
		last, ok := parseEmbedded(s[at:], slash)
		if !ok {
			return Network{}, false
		}
		s = netip.AddrFrom4(last).AppendTo(s[:at:at])
	}
	a, err := netip.ParseAddr(string(s))
	if err != nil || !a.Is6() || a.Zone() != "" {
		return Network{}, false
	}
	b := a.As16()
	return Network{b[:], 128}, true
}

// parseEmbedded reads four bytes at the end of an address of version 6. As in
// PostgreSQL the last ones may be left out, and each may be empty, for zero,
// but the one at the very end of a text.
func parseEmbedded(s []byte, slash bool) (out [4]byte, ok bool) {
	parts := bytes.Split(s, []byte("."))
	if len(parts) > len(out) || len(parts[len(parts)-1]) == 0 && !slash {
		return out, false
	}
	for i, p := range parts {
		if len(p) > 1 && p[0] == '0' {
			return out, false
		}
		for _, c := range p {
			n := int(out[i])*10 + int(c-'0')
			if !isDigit(c) || n > 255 {
				return out, false
			}
			out[i] = byte(n)
		}
	}
	return out, true
}

// hostBits tells whether a bit beyond the network's is set.
func (n Network) hostBits() bool { return !bytes.Equal(n.masked(n.Bits), n.Address) }

// masked gives the address with only its first bits.
func (n Network) masked(bits int) []byte {
	out := make([]byte, len(n.Address))
	copy(out, n.Address[:bits/8])
	if rest := bits % 8; rest > 0 {
		out[bits/8] = n.Address[bits/8] &^ (0xff >> rest)
	}
	return out
}

// Network gives the network's own address.
func (n Network) Network() Network { return Network{n.masked(n.Bits), n.Bits} }

// Broadcast gives the last address of the network.
func (n Network) Broadcast() Network {
	out := n.masked(n.Bits)
	for i := range out {
		switch first := i * 8; {
		case first >= n.Bits:
			out[i] = 0xff
		case first+8 > n.Bits:
			out[i] |= 0xff >> (n.Bits - first)
		}
	}
	return Network{out, n.Bits}
}

// Contains tells whether m lies in n, which may be all of n.
func (n Network) Contains(m Network) bool {
	return len(n.Address) == len(m.Address) && n.Bits <= m.Bits && bytes.Equal(n.masked(n.Bits), m.masked(n.Bits))
}

// AppendHost appends the address without bits.
func (n Network) AppendHost(dst []byte) []byte {
	if len(n.Address) == 4 {
		a, _ := netip.AddrFromSlice(n.Address)
		return a.AppendTo(dst)
	}
	return appendVersion6(dst, n.Address)
}

// AppendText appends the address, and the bits behind a slash if always or if
// they are not all.
func (n Network) AppendText(dst []byte, always bool) []byte {
	dst = n.AppendHost(dst)
	if always || n.Bits != n.MaxBits() {
		dst = strconv.AppendInt(append(dst, '/'), int64(n.Bits), 10)
	}
	return dst
}

// appendVersion6 prints as PostgreSQL, which writes the last four bytes in
// decimal when the ones before are zero, also for ::1:2.
func appendVersion6(dst, b []byte) []byte {
	var groups [8]uint16
	for i := range groups {
		groups[i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
	}
	start, length := -1, 1 // the longest run of zeros, of two at least
	for i := 0; i < 8; i++ {
		j := i
		for j < 8 && groups[j] == 0 {
			j++
		}
		if j-i > length {
			start, length = i, j-i
		}
		i = max(i, j)
	}
	for i := 0; i < 8; i++ {
		if i == start {
			dst = append(dst, ':')
			i += length - 1
			if i == 7 {
				dst = append(dst, ':')
			}
			continue
		}
		if i > 0 {
			dst = append(dst, ':')
		}
		if i == 6 && start == 0 && (length == 6 || length == 7 && groups[7] != 1 || length == 5 && groups[5] == 0xffff) {
			a, _ := netip.AddrFromSlice(b[12:16])
			return a.AppendTo(dst)
		}
		dst = strconv.AppendUint(dst, uint64(groups[i]), 16)
	}
	return dst
}

// compareNetworks orders by family, then by the bits that both networks have,
// then by their number, then by the whole address.
func compareNetworks(a, b []byte) int {
	x, y := ReadNetwork(a), ReadNetwork(b)
	if len(x.Address) != len(y.Address) {
		return cmp.Compare(len(x.Address), len(y.Address))
	}
	common := min(x.Bits, y.Bits)
	return cmp.Or(bytes.Compare(x.masked(common), y.masked(common)), cmp.Compare(x.Bits, y.Bits), bytes.Compare(x.Address, y.Address))
}

// appendNetworkBinary is inet_send.
func appendNetworkBinary(dst, stored []byte, cidr bool) []byte {
	n := ReadNetwork(stored)
	family, flag := byte(2), byte(0) // PGSQL_AF_INET
	if len(n.Address) == 16 {
		family = 3
	}
	if cidr {
		flag = 1
	}
	return append(append(dst, family, byte(n.Bits), flag, byte(len(n.Address))), n.Address...)
}

// Mask gives the network's bits as an address.
func (n Network) Mask() Network {
	ones := Network{bytes.Repeat([]byte{0xff}, len(n.Address)), n.Bits}
	return Network{ones.masked(n.Bits), n.MaxBits()}
}

// HostMask gives the bits beyond the network's as an address.
func (n Network) HostMask() Network {
	out := n.Mask()
	for i := range out.Address {
		out.Address[i] ^= 0xff
	}
	return out
}
