package datum

// wordField reads a field of letters.
func (d *dateTimeDecoder) wordField(fields []field, i int) (wordType, fault) {
	s := fields[i].text
	if a, ok := abbreviations()[token(s)]; ok {
		return d.abbreviation(a, string(s))
	}
	w, ok := dateWords[token(s)]
	if !ok {
		zone, ok := LoadZone(string(s))
		if !ok {
			return 0, badFormat
		}
		d.zone, d.abbrev = zone, ""
		return typeZone, noFault
	}
	switch w.kind {
	case typeReserved:
		return d.reservedWord(w.value), noFault
	case typeMonth:
		return d.monthWord(w.value), noFault
	case typeZoneModifier:
		d.west -= w.value
		return typeZoneModifier | typeZoneDST, noFault
	case typeMeridiem:
		d.meridiem = w.value
	case typeEra:
		d.era = w.value
	case typeUnit:
		d.prefix = w.value
		return 0, noFault
	case typeISOTime:
		// The next field must be a time, behind a date.
		if d.seen&seenDate != seenDate || i+1 >= len(fields) {
			return 0, badFormat
		}
		if k := fields[i+1].kind; k != fieldNumber && k != fieldTime && k != fieldDate {
			return 0, badFormat
		}
		d.prefix = unitTime
		return 0, noFault
	}
	return w.kind, noFault
}

func (d *dateTimeDecoder) abbreviation(a zoneAbbreviation, name string) (wordType, fault) {
	if a.zone != nil {
		d.zone, d.abbrev = a.zone, name
		return typeZoneNamed | typeZone, noFault
	}
	d.west = -a.offset
	if a.dst {
		return typeZoneDST | typeZone, noFault
	}
	return typeZone, noFault
}

func (d *dateTimeDecoder) reservedWord(value int) wordType {
	switch value {
	case wordNow, wordYesterday, wordToday, wordTomorrow:
		// Any date will do: the value is refused.
		d.reserved = true
		d.result = resultFields
		d.year, d.month, d.day = 2000, 1, 1
		if value == wordNow {
			return seenDate | seenTime | typeZone
		}
		return seenDate
	case wordZulu:
		d.result = resultFields
		d.hour, d.minute, d.second, d.west = 0, 0, 0, 0
		return seenTime | typeZone
	case wordEpoch:
		d.result = resultEpoch
	case wordInfinity:
		d.result = resultInfinity
	case wordNegInfinity:
		d.result = resultNegInfinity
	}
	return typeReserved
}

// monthWord reads a month's name. A number before it that passed for the
// month was the day.
func (d *dateTimeDecoder) monthWord(month int) wordType {
	set := typeMonth
	if d.seen&typeMonth != 0 && !d.textMonth && d.seen&typeDay == 0 && d.month >= 1 && d.month <= 31 {
		d.day = d.month
		set = typeDay
	}
	d.textMonth = true
	d.month = month
	return set
}

// labelled reads a number behind a label, as in y2001m02d04.
func (d *dateTimeDecoder) labelled(s []byte) (wordType, fault) {
	n, rest, overflow := leadingInt32(s)
	if overflow {
		return 0, fieldOverflow
	}
	point := len(rest) > 0 && rest[0] == '.'
	if len(rest) > 0 && !(point && (d.prefix == unitJulian || d.prefix == unitTime || d.prefix == unitSecond)) {
		return 0, badFormat
	}
	prefix := d.prefix
	d.prefix = unitNone
	d.result = resultFields
	switch prefix {
	case unitYear:
		d.year = n
		return typeYear, noFault
	case unitMonth:
		if d.seen&typeMonth != 0 && d.seen&typeHour != 0 {
			d.minute = n
			return typeMinute, noFault
		}
		d.month = n
		return typeMonth, noFault
	case unitDay:
		d.day = n
		return typeDay, noFault
	case unitHour:
		d.hour = n
		return typeHour, noFault
	case unitMinute:
		d.minute = n
		return typeMinute, noFault
	case unitSecond:
		return d.labelledSecond(n, rest, point)
	case unitJulian:
		return d.labelledJulian(n, rest, point)
	case unitTime:
		seen, f := d.runTogether(s, d.seen|seenDate)
		if f == noFault && seen != seenTime {
			f = badFormat
		}
		return seen, f
	}
	return 0, badFormat
}

func (d *dateTimeDecoder) labelledSecond(n int, rest []byte, point bool) (wordType, fault) {
	d.second = n
	if !point {
		return typeSecond, noFault
	}
	f, ok := fractionOf(rest)
	if !ok {
		return 0, badFormat
	}
	d.fraction = roundMicros(f)
	return seenSeconds, noFault
}

func (d *dateTimeDecoder) labelledJulian(n int, rest []byte, point bool) (wordType, fault) {
	if n < 0 {
		return 0, fieldOverflow
	}
	d.year, d.month, d.day = DateOfJulian(n)
	d.julian = true
	if !point {
		return seenDate, noFault
	}
	f, ok := fractionOf(rest)
	if !ok {
		return 0, badFormat
	}
	c := Civil(int64(f * Day))
	d.hour, d.minute, d.second, d.fraction = c.Hour, c.Minute, c.Second, c.Micros
	return seenDate | seenTime, noFault
}
