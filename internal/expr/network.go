package expr

import (
	"math/big"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// networkFunctions are the functions and operators of inet and cidr.
func networkFunctions() []*Function {
	const inet, cidr, text, integer, big, boolean = column.Inet, column.Cidr, column.Text, column.Int4, column.Int8, column.Bool
	const bits = "take host(x), family(x), masklen(x) and comparisons"
	both := func(name string, holds func(a, b datum.Network) bool, doc string) *Function {
		return line(name, kinds(inet, inet), boolean, networkTest(holds), doc)
	}
	return []*Function{
		both("<<", func(a, b datum.Network) bool { return b.Bits < a.Bits && b.Contains(a) }, "lies in a network that is larger"),
		both("<<=", func(a, b datum.Network) bool { return b.Contains(a) }, "lies in a network, or is it"),
		both(">>", func(a, b datum.Network) bool { return a.Bits < b.Bits && a.Contains(b) }, "is a network in which an address or a smaller network lies"),
		both(">>=", func(a, b datum.Network) bool { return a.Contains(b) }, "is a network in which an address or a network lies, or the same one"),
		both("&&", func(a, b datum.Network) bool { return a.Contains(b) || b.Contains(a) }, "one lies in the other"),
		both("inet_same_family", func(a, b datum.Network) bool { return a.Family() == b.Family() }, "both are of one version"),
		line("host", kinds(inet), text, networkText(func(dst []byte, n datum.Network) []byte { return n.AppendHost(dst) }), "the address as text, without bits"),
		line("family", kinds(inet), integer, networkNumber(datum.Network.Family), "version of the address: 4 or 6"),
		line("masklen", kinds(inet), integer, networkNumber(func(n datum.Network) int { return n.Bits }), "number of bits of the network"),
		line("network", kinds(inet), cidr, networkOf(datum.Network.Network), "the network that the address is of"),
		line("broadcast", kinds(inet), inet, networkOf(datum.Network.Broadcast), "last address of the network"),
		line("netmask", kinds(inet), inet, networkOf(datum.Network.Mask), "the bits of the network, as an address"),
		line("hostmask", kinds(inet), inet, networkOf(datum.Network.HostMask), "the bits beyond the network's, as an address"),
		line("set_masklen", kinds(inet, integer), inet, setBits, "the address with another number of bits; -1 for all"),
		line("set_masklen", kinds(cidr, integer), cidr, setBits, "the network with another number of bits, others cleared; -1 for all"),
		line("+", kinds(inet, big), inet, moveNetwork(1), "so many addresses later"),
		mirrored("+", kinds(big, inet), inet, moveNetwork(1), "so many addresses later"),
		line("-", kinds(inet, big), inet, moveNetwork(-1), "so many addresses earlier"),
		line("-", kinds(inet, inet), big, networkDistance, "number of addresses between"),
		refused("~", kinds(inet), inet, bits),
		refused("&", kinds(inet, inet), inet, bits),
		refused("|", kinds(inet, inet), inet, bits),
	}
}

func networkTest(holds func(a, b datum.Network) bool) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			f.setBool(i, holds(datum.ReadNetwork(f.bytes(0, i)), datum.ReadNetwork(f.bytes(1, i))))
		}
	}
}

func networkText(text func(dst []byte, n datum.Network) []byte) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			start := len(f.out.Buf)
			f.out.Buf = text(f.out.Buf, datum.ReadNetwork(f.bytes(0, i)))
			f.finish(i, start)
		}
	}
}

func networkNumber(number func(datum.Network) int) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			f.out.Int[i] = int64(number(datum.ReadNetwork(f.bytes(0, i))))
		}
	}
}

func (f *frame) setNetwork(i int32, n datum.Network) {
	start := len(f.out.Buf)
	f.out.Buf = datum.AppendNetwork(f.out.Buf, n)
	f.finish(i, start)
}

func networkOf(of func(datum.Network) datum.Network) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			f.setNetwork(i, of(datum.ReadNetwork(f.bytes(0, i))))
		}
	}
}

func setBits(f *frame) {
	for _, i := range f.sel {
		n, bits := datum.ReadNetwork(f.bytes(0, i)), f.args[1].Int[i]
		if bits == -1 {
			bits = int64(n.MaxBits())
		}
		if bits < 0 || bits > int64(n.MaxBits()) {
			f.fail(i, sqlerr.New(sqlerr.InvalidParameterValue, "invalid mask length: %d", bits))
			continue
		}
		if n.Bits = int(bits); f.typ.Kind == column.Cidr {
			n = n.Network()
		}
		f.setNetwork(i, n)
	}
}

var errNetworkRange = sqlerr.New(sqlerr.NumericValueOutOfRange, "result is out of range")

// moveNetwork adds a number to an address, which must stay one.
func moveNetwork(sign int) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			n := datum.ReadNetwork(f.bytes(0, i))
			sum := new(big.Int).SetBytes(n.Address)
			step := f.args[1].Int[i]
			if sign < 0 {
				step = -step // the least bigint stays what it is, as in PostgreSQL
			}
			if sum.Add(sum, big.NewInt(step)); sum.Sign() < 0 || sum.BitLen() > n.MaxBits() {
				f.fail(i, errNetworkRange)
				continue
			}
			f.setNetwork(i, datum.Network{Address: sum.FillBytes(make([]byte, len(n.Address))), Bits: n.Bits})
		}
	}
}

// wrap brings a difference into 128 bits with a sign, as PostgreSQL computes
// it: from the last address to the first it is one step back.
func wrap(d *big.Int) {
	half, whole := new(big.Int).Lsh(big.NewInt(1), 127), new(big.Int).Lsh(big.NewInt(1), 128)
	if d.Cmp(half) >= 0 {
		d.Sub(d, whole)
	} else if d.Cmp(new(big.Int).Neg(half)) < 0 {
		d.Add(d, whole)
	}
}

var errNetworkVersions = sqlerr.New(sqlerr.InvalidParameterValue, "cannot subtract inet values of different sizes")

func networkDistance(f *frame) {
	for _, i := range f.sel {
		a, b := datum.ReadNetwork(f.bytes(0, i)), datum.ReadNetwork(f.bytes(1, i))
		if a.Family() != b.Family() {
			f.fail(i, errNetworkVersions)
			continue
		}
		d := new(big.Int).Sub(new(big.Int).SetBytes(a.Address), new(big.Int).SetBytes(b.Address))
		if a.MaxBits() == 128 {
			wrap(d)
		}
		if !d.IsInt64() {
			f.fail(i, errNetworkRange)
			continue
		}
		f.out.Int[i] = d.Int64()
	}
}

// networkToText is the cast to text, which always writes the bits.
var networkToText = networkText(func(dst []byte, n datum.Network) []byte { return n.AppendText(dst, true) })
