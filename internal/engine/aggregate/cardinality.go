package aggregate

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/cespare/xxhash/v2"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// A group of more than fewHashes different values is a HyperLogLog: of each
// value's hash the first registerBits choose a register, which keeps the
// greatest rank (leading zeros + 1) of the others. The standard error is
// 1.04/√4096, 1.6 %. Registers only rise, so the order of rows, and how they
// are cut into parts, change nothing.
//
// The estimate is Ertl's ("New cardinality estimation algorithms for
// HyperLogLog sketches", 2017, improved raw estimator): without bias from no
// values to more than there are, and without tables.
const (
	registerBits  = 12
	registerCount = 1 << registerBits
	maxRank       = 64 - registerBits + 1
	// fewHashes are kept as they are, and their number is exact: they take as
	// much memory as registers.
	fewHashes = 64
	// unwritten marks a register that has risen since its group was written.
	unwritten = 1 << 7
)

// cardinality is approx_count_distinct. Hashes, registers and their number are
// part of the state's format.
type cardinality struct {
	few       bag      // keys are hashes
	blocks    []uint32 // by group: its block of registers + 1; 0 while it has few values
	registers []uint8
	key       []byte
	hash      [8]byte
}

func newCardinality() *cardinality { return &cardinality{few: bag{unique: true}} }

func (a *cardinality) Grow(n int) {
	a.few.grow(n)
	a.blocks = grow(a.blocks, n)
}

func (a *cardinality) Update(rows *Rows, arg *column.Vector) {
	for k, g := range rows.Groups {
		r := int(rows.Rows[k])
		if arg.Null[r] {
			continue
		}
		a.key = datum.AppendKey(a.key[:0], arg, r)
		hash := xxhash.Sum64(a.key)
		if a.blocks[g] != 0 {
			a.raise(g, hash)
			continue
		}
		binary.BigEndian.PutUint64(a.hash[:], hash)
		a.keep(g, a.hash[:])
	}
}

// keep adds a hash to a group of few.
func (a *cardinality) keep(g uint32, hash []byte) {
	if a.few.add(g, hash, nil); a.few.groups[g].n > fewHashes {
		a.spread(g)
	}
}

// spread gives a group registers in place of its hashes.
func (a *cardinality) spread(g uint32) {
	n := len(a.registers)
	a.registers = grow(a.registers, n+registerCount)
	a.blocks[g] = uint32(n/registerCount) + 1
	for e := a.few.first(g); e != noEntry; e = a.few.next(e) {
		a.raise(g, binary.BigEndian.Uint64(a.few.key(e)))
	}
	a.few.drop(g)
}

func (a *cardinality) block(g uint32) []uint8 {
	at := int(a.blocks[g]-1) * registerCount
	return a.registers[at : at+registerCount]
}

func (a *cardinality) raise(g uint32, hash uint64) {
	rest := hash<<registerBits | 1<<(registerBits-1) // never zero
	raise(&a.block(g)[hash>>(64-registerBits)], uint8(bits.LeadingZeros64(rest))+1)
}

func raise(register *uint8, rank uint8) {
	if rank > *register&^unwritten {
		*register = rank | unwritten
	}
}

func (a *cardinality) Merge(into uint32, src Accumulator, g uint32) {
	s := src.(*cardinality)
	if s.blocks[g] != 0 {
		if a.blocks[into] == 0 {
			a.spread(into)
		}
		to := a.block(into)
		for i, rank := range s.block(g) {
			raise(&to[i], rank&^unwritten)
		}
		return
	}
	for e := s.few.first(g); e != noEntry; e = s.few.next(e) {
		if hash := s.few.key(e); a.blocks[into] != 0 {
			a.raise(into, binary.BigEndian.Uint64(hash))
		} else {
			a.keep(into, hash)
		}
	}
}

func (a *cardinality) Result(g uint32, out *column.Vector, i int) *sqlerr.Error {
	out.Int[i] = int64(a.few.groups[g].n)
	if a.blocks[g] != 0 {
		out.Int[i] = int64(math.Round(estimate(a.block(g))))
	}
	return nil
}

// estimate is how many values registers have met. The conversions keep a
// processor from rounding only once for two operations: the same registers
// give the same number everywhere.
func estimate(registers []uint8) float64 {
	var counts [maxRank + 1]float64
	for _, r := range registers {
		counts[r&^unwritten]++
	}
	const m = registerCount
	z := float64(m * tau(1-counts[maxRank]/m))
	for k := maxRank - 1; k >= 1; k-- {
		z = 0.5 * (z + counts[k])
	}
	z += float64(m * sigma(counts[0]/m))
	return m * m / (2 * math.Ln2) / z
}

// sigma is x + Σ x^(2^k)·2^(k-1).
func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	for y, z := 1.0, x; ; y += y {
		x = float64(x * x)
		next := z + float64(x*y)
		if next == z {
			return z
		}
		z = next
	}
}

// tau is (1 - x - Σ (1-x^(2^-k))²·2^-k) / 3.
func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	for y, z := 1.0, 1-x; ; {
		x = math.Sqrt(x)
		y *= 0.5
		d := 1 - x
		next := z - float64(float64(d*d)*y)
		if next == z {
			return z / 3
		}
		z = next
	}
}

// What is written of a group begins with one of these.
const (
	fewWritten      = iota // its hashes, as a bag writes them
	registersWhole         // all registers that have met a value
	registersRaised        // those that have risen
)

func (a *cardinality) Encode(dst []byte, g uint32) []byte {
	if a.blocks[g] == 0 {
		return a.few.encode(append(dst, fewWritten), g, false)
	}
	return appendRegisters(append(dst, registersWhole), a.block(g), 1)
}

func (a *cardinality) EncodeChanges(dst []byte, g uint32) []byte {
	if a.blocks[g] == 0 {
		return a.few.encode(append(dst, fewWritten), g, true)
	}
	registers := a.block(g)
	dst = appendRegisters(append(dst, registersRaised), registers, unwritten)
	for i := range registers {
		registers[i] &^= unwritten
	}
	return dst
}

// appendRegisters appends the registers that are at least from: their number,
// and of each how far it is from the one before, and its rank.
func appendRegisters(dst []byte, registers []uint8, from uint8) []byte {
	n := uint64(0)
	for _, r := range registers {
		if r >= from {
			n++
		}
	}
	dst = binary.AppendUvarint(dst, n)
	last := 0
	for i, r := range registers {
		if r >= from {
			dst = append(binary.AppendUvarint(dst, uint64(i-last)), r&^unwritten)
			last = i
		}
	}
	return dst
}

func (a *cardinality) Decode(src []byte, g uint32) ([]byte, error) {
	if len(src) == 0 || src[0] > registersRaised {
		return nil, ErrCorrupt
	}
	form := src[0]
	if a.blocks[g] != 0 && form != registersRaised {
		clear(a.block(g))
	}
	if form == fewWritten {
		a.blocks[g] = 0
		return a.few.decode(src[1:], g)
	}
	if form == registersWhole {
		a.few.drop(g)
	}
	if a.blocks[g] == 0 {
		a.spread(g)
	}
	n, src, err := takeUvarint(src[1:])
	at := uint64(0)
	for registers := a.block(g); err == nil && n > 0; n-- {
		var gap uint64
		if gap, src, err = takeUvarint(src); err != nil {
			break
		}
		if at += gap; gap >= registerCount || at >= registerCount || len(src) == 0 || src[0] == 0 || src[0] > maxRank {
			return nil, ErrCorrupt
		}
		registers[at] = max(registers[at]&^unwritten, src[0])
		src = src[1:]
	}
	return src, err
}

func (a *cardinality) Clear() {
	a.few.clear()
	a.blocks, a.registers = a.blocks[:0], a.registers[:0]
}

func (a *cardinality) Bytes() int64 {
	return a.few.size() + int64(4*cap(a.blocks)+cap(a.registers))
}
