package main

import "fmt"

// minRun is how many neighbouring numbers are worth a run: for fewer, the calls cost
// no more than to look at the direction.
const minRun = 3

// runOf returns how many fields from the first on make a run, 0 if they make none:
// numbers that are always there, and whole groups of optional numbers and truth
// values, which have a mask as one more number.
func runOf(all []field) int {
	n, numbers := 0, 0
	for n < len(all) {
		group := optional(all[n:])
		if len(group) == 0 {
			if !all[n].number() {
				break
			}
			n, numbers = n+1, numbers+1
			continue
		}
		if !plainGroup(group) {
			break
		}
		n, numbers = n+len(group), numbers+len(group)+1
	}
	if numbers < minRun {
		return 0
	}
	return n
}

func plainGroup(group []field) bool {
	for _, f := range group {
		if !f.number() && f.form != truth {
			return false
		}
	}
	return true
}

// number reports whether a field is a number of a type that the output can name.
func (f field) number() bool { return f.typ != "" && (f.form == unsigned || f.form == signed) }

// run writes neighbouring fields in both directions, without a call for each, and
// returns how many masks there are by now.
func (w *writer) run(all []field, masks int) int {
	w.line("if b := c.B; c.Decoding {")
	w.line("var u, bad uint64\ni := 0")
	w.each(all, masks, w.readNumber, w.readGroup)
	w.line("c.Read(i, bad)\n} else {")
	masks = w.each(all, masks, w.writeNumber, w.writeGroup)
	w.line("c.B = b\n}")
	return masks
}

// each writes the numbers and the groups of a run.
func (w *writer) each(all []field, masks int, number func(field), group func([]field, string)) int {
	for len(all) > 0 {
		n := len(optional(all))
		if n == 0 {
			number(all[0])
			n = 1
		} else {
			masks++
			group(all[:n], maskName(masks))
		}
		all = all[n:]
	}
	return masks
}

func (w *writer) readNumber(f field) {
	v := "x." + f.name
	w.line("u, i = wire.Next(b, i)")
	if f.form == signed {
		w.line("%s = %s(wire.Zagzig(u))", v, f.typ)
		return
	}
	w.line("%s = %s(u)", v, f.typ)
	w.line("bad |= uint64(%s) ^ u", v)
}

func (w *writer) readGroup(group []field, m string) {
	w.line("var %s uint64\n%s, i = wire.Next(b, i)", m, m)
	w.line("bad |= %s >> %d", m, len(group))
	for bit, f := range group {
		v, has := "x."+f.name, fmt.Sprintf("%s>>%d&1 == 1", m, bit)
		if f.form == truth {
			w.line("%s = %s", v, has)
			continue
		}
		w.line("if %s {", has)
		w.readNumber(f)
		w.line("if u == 0 { // it would have a second encoding\nbad = 1\n}")
		w.line("} else {\n%s = 0\n}", v)
	}
}

func (w *writer) writeNumber(f field) {
	if f.form == signed {
		w.line("b = wire.Put(b, wire.Zigzag(int64(x.%s)))", f.name)
		return
	}
	w.line("b = wire.Put(b, uint64(x.%s))", f.name)
}

func (w *writer) writeGroup(group []field, m string) {
	w.line("%s := uint64(0)", m)
	for bit, f := range group {
		w.line("if %s {\n%s |= 1 << %d\n}", f.given(), m, bit)
	}
	w.line("b = wire.Put(b, %s)", m)
	for bit, f := range group {
		if f.form != truth {
			w.line("if %s>>%d&1 == 1 {", m, bit)
			w.writeNumber(f)
			w.line("}")
		}
	}
}
