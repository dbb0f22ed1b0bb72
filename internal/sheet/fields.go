package sheet

import "meridian/internal/tariff"

// form is how a field is written.
type form int

// Forms.
const (
	words     form = iota // a text
	choice                // one of the field's choices
	count                 // a whole number
	yesNo                 // true or false
	amount                // a decimal in quotes
	instant               // 2026-12-01T00:00:00Z
	clock                 // a time of day: 22:00
	span                  // a time: 60s, 5m, 1h, 30d
	speed                 // 10Mbit
	measure               // a quantity of the unit in force: 500MB, 60s, 3, "12.50"
	percent               // 12.5%
	price                 // "2.50 per 1GB"
	ratio                 // 3/2
	period                // month, 30 days
	date                  // 2026-12-31
	weekday               // sat, mon-fri
	record                // a mapping
	csvFile               // a table in a file beside
	threshold             // a measure, or a percentage for used-percent
)

// field is one field of the language. Name is the JSON name of a field of the
// record's type.
type field struct {
	name     string
	form     form
	many     bool // a list of them
	required bool
	of       string   // record: its name
	choices  []string // choice
	doc      string   // for the schema, and what a comparison calls it
	noun     string   // in a sentence: the NOUN changes from … to …
	absent   string   // choice: what holds when it is left out
}

type table struct {
	name, doc string
	fields    []field
}

// language is every record of the language; the first is the offering.
func language() []table {
	out := []table{offeringTable()}
	out = append(out, calendarTables()...)
	out = append(out, chargeTables()...)
	out = append(out, usageTables()...)
	out = append(out, allowanceTables()...)
	out = append(out, serviceTables()...)
	return append(out, marketingTables()...)
}

func offeringTable() table {
	return table{"offering", "What is sold: a package of services with what they cost, what is included and how they behave.", []field{
		{name: "id", required: true, doc: "Short name, for ever the same, 1 to 64 characters.", noun: "id"},
		{name: "name", required: true, doc: "The name that subscribers see.", noun: "name"},
		{name: "currency", required: true, doc: "ISO 4217 code, e.g. EUR.", noun: "currency"},
		{name: "valid_from", form: instant, doc: "From when the version holds; left out = from publishing.", noun: "start of validity"},
		{name: "valid_until", form: instant, doc: "Until when, exclusive; left out = for ever.", noun: "end of validity"},
		{name: "grandfathered", form: yesNo, doc: "Those who have this version keep it when a new one comes.", noun: "grandfathering"},
		{name: "service", required: true, doc: "The main service: internet, voice, tv, mobile, sms, partner, …", noun: "main service"},
		{name: "services", many: true, doc: "The other services of the package.", noun: "other services"},
		{name: "zone", doc: "IANA time zone of days, windows and months, e.g. Europe/Berlin; left out = UTC.", noun: "time zone"},
		{name: "rounding", form: record, of: "rounding", doc: "How what is to be paid is rounded; left out = half-even to 2 places.", noun: "rounding"},
		{name: "windows", form: record, of: "window", many: true, doc: "Named parts of the calendar that rates and conditions refer to.", noun: "window"},
		{name: "holidays", form: date, many: true, doc: "Days on which windows marked holidays hold.", noun: "holidays"},
		{name: "one_time", form: record, of: "one_time", many: true, doc: "Charges at activation or sale.", noun: "one-time charge"},
		{name: "recurring", form: record, of: "recurring", many: true, doc: "Charges for each period.", noun: "recurring charge"},
		{name: "usage", form: record, of: "usage", many: true, doc: "What metered use costs.", noun: "usage"},
		{name: "allowances", form: record, of: "allowance", many: true, doc: "Balances that the offering brings.", noun: "allowance"},
		{name: "profile", form: record, of: "profile", required: true, doc: "The service as it normally is.", noun: "service profile"},
		{name: "profiles", form: record, of: "named_profile", many: true, doc: "Other profiles, by name, that switches put in force.", noun: "profile"},
		{name: "switches", form: record, of: "switch", many: true, doc: "Which profile holds when; the first that fits wins.", noun: "switch"},
		{name: "thresholds", form: record, of: "threshold", many: true, doc: "Values of balances and usage that raise events.", noun: "threshold"},
		{name: "promotions", form: record, of: "promotion", many: true, doc: "Discounts and gifts.", noun: "promotion"},
		{name: "eligibility", form: record, of: "eligibility", doc: "Who may buy it, where, how and when.", noun: "eligibility"},
		{name: "requires", many: true, doc: "Ids of offerings that must be held.", noun: "required offerings"},
		{name: "excludes", many: true, doc: "Ids of offerings that must not be held.", noun: "excluded offerings"},
		{name: "price_of", doc: "Makes this the price of another offering for one company.", noun: "offering whose price it is"},
		{name: "company", doc: "Account of that company.", noun: "company"},
		{name: "reservation", form: record, of: "reservation", doc: "What is held ahead for a metered session.", noun: "reservation"},
		{name: "overrun", form: choice, required: true, choices: []string{"owed", "absorbed"},
			doc: "Who bears usage that nothing could pay: owed by the subscriber or absorbed by the operator.", noun: "overrun"},
		{name: "offline_allowance", form: amount, doc: "What a subscriber may borrow while the region is cut off.", noun: "offline allowance"},
	}}
}

func calendarTables() []table {
	return []table{
		{"rounding", "Rounding of what is to be paid, once, to decimal places.", []field{
			{name: "mode", form: choice, required: true, choices: []string{"half-even", "half-up", "up", "down"}, doc: "Which way.", noun: "mode"},
			{name: "places", form: count, required: true, doc: "Decimal places, 0 to 6.", noun: "places"},
		}},
		{"window", "A part of the calendar in the offering's zone; all conditions given must hold.", []field{
			{name: "name", required: true, doc: "What rates call it.", noun: "name"},
			{name: "days", form: weekday, many: true, doc: "Weekdays, also as ranges: mon-fri.", noun: "days"},
			{name: "months", form: count, many: true, doc: "Months, 1 to 12.", noun: "months"},
			{name: "month_days", form: count, many: true, doc: "Days of the month, 1 to 31.", noun: "days of the month"},
			{name: "dates", form: date, many: true, doc: "Single days.", noun: "dates"},
			{name: "holidays", form: yesNo, doc: "On the offering's holidays only.", noun: "holidays"},
			{name: "from", form: clock, doc: "Start, time of day; left out = 00:00.", noun: "start"},
			{name: "to", form: clock, doc: "End; before the start it runs over midnight; left out = 24:00.", noun: "end"},
			{name: "weight", form: count, doc: "Where windows overlap the heavier wins, 0 to 1000.", noun: "weight"},
		}},
	}
}

func chargeTables() []table {
	shares := field{name: "shares", form: record, of: "share", many: true, doc: "Partners' parts of what it earns.", noun: "partner's share"}
	tax := field{name: "tax", doc: "Tax code.", noun: "tax code"}
	return []table{
		{"one_time", "Charged once, at activation or sale.", []field{
			{name: "name", required: true, doc: "What the bill calls it.", noun: "name"},
			{name: "price", form: amount, required: true, doc: "The price.", noun: "price"}, tax, shares,
		}},
		{"recurring", "Charged for each period.", []field{
			{name: "name", required: true, doc: "What the bill calls it.", noun: "name"},
			{name: "price", form: amount, required: true, doc: "The price of a whole period.", noun: "price"},
			{name: "every", form: period, required: true, doc: "The period: month, 30 days, 2 weeks, half-month, year.", noun: "period"},
			{name: "anchor", form: choice, choices: []string{"calendar", "anniversary"}, doc: "Periods of the calendar or from the activation (default).", noun: "start of periods", absent: "anniversary"},
			{name: "due", form: choice, choices: []string{"advance", "arrears"}, doc: "At the period's start (default) or end.", noun: "time of the charge", absent: "advance"},
			{name: "proration", form: choice, choices: []string{"actual-days", "fixed-30", "none"}, doc: "What a part of a period costs; none (default) = the whole price.", noun: "proration", absent: "none"},
			{name: "cancel", form: choice, choices: []string{"none", "unused", "full"}, doc: "What is given back at cancellation of a period paid in advance.", noun: "credit at cancellation", absent: "none"},
			tax, shares,
		}},
		{"share", "A partner's part of what a component earns.", []field{
			{name: "partner", required: true, doc: "The partner's id.", noun: "partner"},
			{name: "percent", form: percent, required: true, doc: "The part.", noun: "part"},
		}},
	}
}

func units() []string {
	return []string{string(tariff.Bytes), string(tariff.Seconds), string(tariff.Events), string(tariff.Money), string(tariff.Units)}
}

func usageTables() []table {
	return []table{
		{"usage", "What a service's metered use costs.", []field{
			{name: "name", required: true, doc: "What the bill calls it.", noun: "name"},
			{name: "service", doc: "One of the offering's services; left out = the main one.", noun: "service"},
			{name: "unit", form: choice, required: true, choices: units(), doc: "What is counted.", noun: "unit"},
			{name: "counted", form: choice, choices: []string{"session", "period"}, doc: "Over what tiers, free units and steps count.", noun: "counting", absent: "session"},
			{name: "every", form: period, doc: "Counted by period: which; left out = calendar month.", noun: "counting period"},
			{name: "destinations", form: record, of: "destination", many: true, doc: "Zones and the prefixes of their numbers; the longest prefix wins.", noun: "destination"},
			{name: "prefixes_csv", form: csvFile, doc: "A CSV file beside the sheet with the columns prefix,zone: more destinations.", noun: "prefix file"},
			{name: "table", doc: "Name of a prefix table that the catalog's tariffs share.", noun: "shared prefix table"},
			{name: "free", form: record, of: "free", doc: "What costs nothing at the start of each session or period.", noun: "free use"},
			{name: "rates", form: record, of: "rate", many: true, required: true, doc: "Prices by zone and window.", noun: "rate"},
			{name: "min_event", form: amount, doc: "Least price of a session or event with paid use.", noun: "minimum of a session"},
			{name: "max_event", form: amount, doc: "Most that a session or event costs.", noun: "maximum of a session"},
			{name: "min_period", form: amount, doc: "Least price of a period with paid use.", noun: "minimum of a period"},
			{name: "max_period", form: amount, doc: "Most that a period costs.", noun: "maximum of a period"},
			{name: "partial", form: yesNo, doc: "There may be times without a rate: there is no service then.", noun: "service at some times only"},
			{name: "weight_scale", form: count, doc: "Weighted units: parts of a whole weight.", noun: "weight scale"},
			{name: "tax", doc: "Tax code.", noun: "tax code"},
			{name: "shares", form: record, of: "share", many: true, doc: "Partners' parts of what it earns.", noun: "partner's share"},
		}},
		{"destination", "A zone and the prefixes of the numbers in it.", []field{
			{name: "zone", required: true, doc: "The zone's name.", noun: "zone"},
			{name: "prefixes", many: true, required: true, doc: `Digits in quotes, + before them for an international number: "+49".`, noun: "prefixes"},
		}},
		{"free", "What costs nothing at the start.", []field{
			{name: "units", form: measure, doc: "A quantity.", noun: "quantity"},
			{name: "events", form: count, doc: "A number of events; counted by period only.", noun: "number of events"},
		}},
		{"rate", "The price of use in a zone while a window is in force.", []field{
			{name: "name", doc: "What explanations call it; left out = zone and window.", noun: "name"},
			{name: "zone", doc: "Left out = every destination without a rate of its own.", noun: "zone"},
			{name: "window", doc: "Left out = when no window of another rate is in force.", noun: "window"},
			{name: "fee", form: amount, doc: "Connection fee, due once for each session or event.", noun: "connection fee"},
			{name: "price", form: price, doc: `"2.50 per 1GB", "0.10 per minute", "0.05" for each event, or "1.3%" of money.`, noun: "price"},
			{name: "first", form: measure, doc: "The first step, charged whole.", noun: "first step"},
			{name: "next", form: measure, doc: "Each further step, charged whole; left out = by the count.", noun: "step"},
			{name: "mode", form: choice, choices: []string{"graduated", "volume"}, doc: "How tiers price: each unit at its own tier, or all at the tier reached.", noun: "tier mode"},
			{name: "tiers", form: record, of: "tier", many: true, doc: "Prices by quantity; the last has no up_to.", noun: "tier"},
			{name: "max_cost", form: amount, doc: "Most that a session costs by this rate.", noun: "maximum cost"},
			{name: "after_max", form: choice, choices: []string{"free after", "disconnect"}, doc: "What happens at the maximum cost.", noun: "what happens at the maximum cost"},
		}},
		{"tier", "A range of quantity.", []field{
			{name: "up_to", form: measure, doc: "Where it ends; the last tier has none.", noun: "end"},
			{name: "flat", form: amount, doc: "Due once when the tier is entered.", noun: "flat part"},
			{name: "price", form: price, required: true, doc: `As a rate's price, e.g. "2.50 per 1GB".`, noun: "price"},
			{name: "step", form: measure, doc: "A package: whole steps within the tier.", noun: "step"},
		}},
	}
}

func allowanceTables() []table {
	return []table{
		{"allowance", "A balance that the offering brings.", []field{
			{name: "name", required: true, doc: "What the subscriber sees.", noun: "name"},
			{name: "unit", form: choice, required: true, choices: units(), doc: "What it holds.", noun: "unit"},
			{name: "amount", form: measure, required: true, doc: "How much is given.", noun: "amount"},
			{name: "priority", form: count, doc: "Lower pays first, -1000 to 1000.", noun: "priority"},
			{name: "every", form: period, doc: "Given anew each period; left out = once.", noun: "period"},
			{name: "anchor", form: choice, choices: []string{"calendar", "anniversary"}, doc: "Periods of the calendar or from the activation.", noun: "start of periods", absent: "anniversary"},
			{name: "valid_for", form: period, doc: "How long it is good; left out = while the offering lasts.", noun: "validity"},
			{name: "rollover", form: record, of: "rollover", doc: "What is kept when it is given anew; left out = nothing.", noun: "rollover"},
			{name: "carry_overage", form: yesNo, doc: "Use beyond the last period's is taken from the new one.", noun: "carrying of overage"},
			{name: "shared", form: record, of: "shared", doc: "One balance for a family or company.", noun: "sharing"},
			{name: "filter", form: record, of: "filter", doc: "For what it may pay.", noun: "filter"},
			{name: "factor", form: ratio, doc: "Counts taken for each count of usage: 3/2, 2 or 0.5.", noun: "factor"},
			{name: "step", form: measure, doc: "Usage that it pays at once.", noun: "step"},
			{name: "rated_by", doc: "Usage component whose prices hold while it pays; left out = free.", noun: "rating while it pays"},
			{name: "blocking", form: yesNo, doc: "What it cannot pay is not paid by those behind it.", noun: "blocking"},
		}},
		{"rollover", "Bounds of what is kept.", []field{
			{name: "min", form: measure, doc: "At least.", noun: "minimum"},
			{name: "max", form: measure, required: true, doc: "At most.", noun: "maximum"},
			{name: "add", form: yesNo, doc: "The new amount comes on top.", noun: "adding"},
		}},
		{"shared", "One balance of several subscribers.", []field{
			{name: "pool", required: true, doc: "The pool's name.", noun: "pool"},
			{name: "per_child", form: measure, doc: "What each may use in a period; left out = no limit.", noun: "limit of each"},
		}},
		{"filter", "For what a balance may pay; what is left out is not asked.", []field{
			{name: "services", many: true, doc: "Services.", noun: "services"},
			{name: "usage", many: true, doc: "Usage components.", noun: "usage components"},
			{name: "zones", many: true, doc: "Zones of destinations.", noun: "zones"},
			{name: "windows", many: true, doc: "Windows.", noun: "windows"},
		}},
		{"threshold", "Raises an event when a value is crossed.", []field{
			{name: "name", required: true, doc: "The event's name.", noun: "name"},
			{name: "on", required: true, doc: "An allowance, a usage component, or money.", noun: "watched balance"},
			{name: "metric", form: choice, required: true, choices: []string{"left", "used-percent", "used"}, doc: "What is watched.", noun: "metric"},
			{name: "value", form: threshold, required: true, doc: "A quantity of what is watched, or a percentage for used-percent.", noun: "value"},
			{name: "recurring", form: yesNo, doc: "Once each period; left out = once.", noun: "recurrence"},
			{name: "actions", form: record, of: "action", many: true, doc: "What happens beside the event.", noun: "action"},
		}},
		{"action", "One act of a threshold.", []field{
			{name: "do", form: choice, required: true, choices: []string{"credit", "debit", "reset", "profile"}, doc: "What.", noun: "act"},
			{name: "balance", doc: "An allowance, or money.", noun: "balance"},
			{name: "amount", form: measure, doc: "How much.", noun: "amount"},
			{name: "profile", doc: "The profile to switch to.", noun: "profile"},
		}},
	}
}
