package why

import "meridian/internal/rating"

// words are a language's templates. In nouns # is the number.
type words struct {
	entryWords
	kinds       map[rating.Kind]string
	paidAhead   string // usage within a step that was paid for before
	heldOver    string // usage within a step that an allowance has paid for before
	volume      string // a tier that prices all usage was reached
	givenBack   string // the same, where that makes it cheaper
	lowered     string // a level fell
	minimumBack string // usage has reached a part of what was charged up to the minimum
	capped      string
	to, in      string // a destination's zone, a window
	steps       string // what is charged, the step
	per         string // amount, quantity
	perOne      string // amount, noun of one
	nouns       map[string]noun

	charges [chargeKinds]string
	period  string // from, to
	part    string // days, of, price of the whole
	unused  string // days, of
	off     string // promotion, amount
	sum     string // price, what is off, amount
	taken   string // what a promotion takes off usage
}

// noun is a unit's forms by category, and its form after "per" when it is one.
type noun struct {
	forms [categories]string
	per   string
}

// decimal is the form after a decimal number.
func (n noun) decimal() string {
	if n.forms[Other] != "" {
		return n.forms[Other]
	}
	return n.forms[Few]
}

func wordsOf(l Language) *words {
	switch l {
	case Russian:
		return russian()
	case Arabic:
		return arabic()
	}
	return english()
}

func invariable(list map[string]string, into map[string]noun) map[string]noun {
	for name, text := range list {
		n := noun{per: text}
		for i := range n.forms {
			n.forms[i] = "# " + text
		}
		into[name] = n
	}
	return into
}

func english() *words {
	two := func(one, many string) noun {
		return noun{[categories]string{One: "# " + one, Other: "# " + many}, one}
	}
	return &words{
		entryWords: englishEntries(),
		kinds: map[rating.Kind]string{
			rating.KindUsage:   "{quantity} of {what} at {price}{steps}: {amount}.",
			rating.KindFee:     "Connection fee of {what}: {amount}.",
			rating.KindFlat:    "Flat part of the tier that {what} has reached: {amount}.",
			rating.KindFree:    "{quantity} of {what}: free of charge.",
			rating.KindMinimum: "Difference to the minimum price of {what}: {amount}.",
			rating.KindCovered: "{quantity} of {what}: paid by the allowance {by}.",
		},
		paidAhead:   "{quantity} of {what}: within a step that is paid for already.",
		heldOver:    "{quantity} of {what}: within a step that an allowance has paid for already.",
		volume:      "{quantity} of {what} in the tier that prices all usage so far at {price}; difference to what was charged before: {amount}.",
		givenBack:   "{quantity} of {what} in the tier that prices all usage so far at {price}: {amount} are given back.",
		minimumBack: "{amount} charged before up to the minimum price of {what} are taken off.",
		lowered:     "{what} less by {quantity}: {amount} are given back.",
		capped:      "The maximum price was reached.",
		to:          " to %s", in: " in the window %s",
		steps: ", charged as %s in whole steps of %s", per: "%s per %s", perOne: "%s per %s",
		nouns: invariable(map[string]string{"B": "B", "kB": "kB", "MB": "MB", "GB": "GB", "TB": "TB", "KiB": "KiB", "MiB": "MiB", "GiB": "GiB", "TiB": "TiB"},
			map[string]noun{"second": two("second", "seconds"), "minute": two("minute", "minutes"), "hour": two("hour", "hours"), "day": two("day", "days"),
				"event": two("event", "events"), "unit": two("unit", "units")}),
		charges: [chargeKinds]string{
			OneTime: "{what}, once: {sum}.",
			Fee:     "{what}{period}{part}: {sum}.",
			Credit:  "{what}{period}: {price} were paid{part}; given back: {amount}.",
			Bonus:   "{what}: {amount} are given.",
			Minimum: "{what}{period}: difference to the minimum of the period: {amount}.",
		},
		period: " from %s to %s", part: ", %s of %d at %s", unused: ", %s of %d are not used", off: ", less %s %s", sum: "%s%s: %s",
		taken: "{by} takes {amount} off {what}.",
	}
}

func russian() *words {
	three := func(one, few, many, per string) noun {
		return noun{[categories]string{One: "# " + one, Few: "# " + few, Many: "# " + many}, per}
	}
	return &words{
		entryWords: russianEntries(),
		kinds: map[rating.Kind]string{
			rating.KindUsage:   "{what}: {quantity} по цене {price}{steps} — {amount}.",
			rating.KindFee:     "{what}: плата за соединение — {amount}.",
			rating.KindFlat:    "{what}: фиксированная часть достигнутой ступени — {amount}.",
			rating.KindFree:    "{what}: {quantity} бесплатно.",
			rating.KindMinimum: "{what}: доплата до минимальной стоимости — {amount}.",
			rating.KindCovered: "{what}: {quantity} оплачено из пакета {by}.",
		},
		paidAhead:   "{what}: {quantity} в пределах уже оплаченного шага.",
		heldOver:    "{what}: {quantity} в пределах шага, уже оплаченного из пакета.",
		volume:      "{what}: {quantity} в ступени, по которой весь объём считается по цене {price}; разница с начисленным ранее — {amount}.",
		givenBack:   "{what}: {quantity} в ступени, по которой весь объём считается по цене {price}; возвращается {amount}.",
		minimumBack: "{what}: вычтено {amount} из начисленной ранее доплаты до минимальной стоимости.",
		lowered:     "{what}: уменьшение на {quantity}; возвращается {amount}.",
		capped:      "Достигнута максимальная стоимость.",
		to:          ", направление %s", in: ", период %s",
		steps: ", к оплате %s (шаг тарификации: %s)", per: "%s за %s", perOne: "%s за %s",
		nouns: invariable(map[string]string{"B": "Б", "kB": "кБ", "MB": "МБ", "GB": "ГБ", "TB": "ТБ", "KiB": "КиБ", "MiB": "МиБ", "GiB": "ГиБ", "TiB": "ТиБ"},
			map[string]noun{"second": three("секунда", "секунды", "секунд", "секунду"), "minute": three("минута", "минуты", "минут", "минуту"),
				"hour": three("час", "часа", "часов", "час"), "day": three("день", "дня", "дней", "день"), "event": three("событие", "события", "событий", "событие"),
				"unit": three("единица", "единицы", "единиц", "единицу")}),
		charges: [chargeKinds]string{
			OneTime: "{what}, разово: {sum}.",
			Fee:     "{what}{period}{part}: {sum}.",
			Credit:  "{what}{period}: было оплачено {price}{part}; возвращается {amount}.",
			Bonus:   "{what}: начислено {amount}.",
			Minimum: "{what}{period}: доплата до минимальной суммы периода — {amount}.",
		},
		period: " с %s по %s", part: ", %s из %d при цене %s", unused: ", не использовано: %s из %d", off: ", скидка «%s» %s", sum: "%s%s — %s",
		taken: "{what}: скидка «{by}» {amount}.",
	}
}

func arabic() *words {
	six := func(one, two, few, many, other string) noun {
		return noun{[categories]string{Zero: "# " + other, One: one, Two: two, Few: "# " + few, Many: "# " + many, Other: "# " + other}, other}
	}
	return &words{
		entryWords: arabicEntries(),
		kinds: map[rating.Kind]string{
			rating.KindUsage:   "{what}: {quantity} بسعر {price}{steps}، المبلغ {amount}.",
			rating.KindFee:     "{what}: رسم الاتصال {amount}.",
			rating.KindFlat:    "{what}: المبلغ الثابت للشريحة التي بُلغت {amount}.",
			rating.KindFree:    "{what}: {quantity} مجانًا.",
			rating.KindMinimum: "{what}: الفرق إلى الحد الأدنى للسعر {amount}.",
			rating.KindCovered: "{what}: {quantity} من رصيد الباقة {by}.",
		},
		paidAhead:   "{what}: {quantity} ضمن خطوة مدفوعة من قبل.",
		heldOver:    "{what}: {quantity} ضمن خطوة مدفوعة من قبل من رصيد باقة.",
		volume:      "{what}: {quantity} في شريحة تُسعّر كل الاستخدام بسعر {price}، والفرق عما احتُسب من قبل {amount}.",
		givenBack:   "{what}: {quantity} في شريحة تُسعّر كل الاستخدام بسعر {price}، والمُعاد {amount}.",
		minimumBack: "{what}: خُصم {amount} مما احتُسب من قبل لبلوغ الحد الأدنى للسعر.",
		lowered:     "{what}: أقل بمقدار {quantity}، والمُعاد {amount}.",
		capped:      "تم بلوغ الحد الأقصى للسعر.",
		to:          "، الوجهة %s", in: "، الفترة %s",
		steps: "، المحتسب: %s (الخطوة: %s)", per: "%s لكل %s", perOne: "%s لكل %s",
		nouns: invariable(map[string]string{"B": "بايت", "kB": "كيلوبايت", "MB": "ميغابايت", "GB": "غيغابايت", "TB": "تيرابايت",
			"KiB": "كيبيبايت", "MiB": "ميبيبايت", "GiB": "غيبيبايت", "TiB": "تيبيبايت"},
			map[string]noun{"second": six("ثانية واحدة", "ثانيتان", "ثوانٍ", "ثانية", "ثانية"), "minute": six("دقيقة واحدة", "دقيقتان", "دقائق", "دقيقة", "دقيقة"),
				"hour": six("ساعة واحدة", "ساعتان", "ساعات", "ساعة", "ساعة"), "day": six("يوم واحد", "يومان", "أيام", "يومًا", "يوم"), "event": six("حدث واحد", "حدثان", "أحداث", "حدثًا", "حدث"),
				"unit": six("وحدة واحدة", "وحدتان", "وحدات", "وحدة", "وحدة")}),
		charges: [chargeKinds]string{
			OneTime: "{what}، مرة واحدة: {sum}.",
			Fee:     "{what}{period}{part}: {sum}.",
			Credit:  "{what}{period}: دُفع {price}{part}، والمُعاد {amount}.",
			Bonus:   "{what}: مُنح {amount}.",
			Minimum: "{what}{period}: الفرق إلى الحد الأدنى للفترة {amount}.",
		},
		period: " من %s إلى %s", part: "، %s من %d بسعر %s", unused: "، غير مستخدم: %s من %d", off: "، خصم «%s» %s", sum: "%s%s، المبلغ %s",
		taken: "{what}: خصم «{by}» بقيمة {amount}.",
	}
}
