package sheet

func profileFields(own bool) []field {
	return []field{
		{name: "up", form: speed, doc: "Speed from the subscriber; left out = no limit.", noun: "upload speed"},
		{name: "down", form: speed, doc: "Speed to the subscriber; left out = no limit.", noun: "download speed"},
		{name: "pool", doc: "Address pool.", noun: "address pool"},
		{name: "session_limit", form: count, required: own, doc: "Sessions at once.", noun: "session limit"},
		{name: "interim", form: span, required: own, doc: "Interval of reports, at least 60s.", noun: "reporting interval"},
		{name: "garden", doc: "Walled garden: the only place that can be reached.", noun: "walled garden"},
		{name: "bar_zones", many: true, doc: "Zones that cannot be called.", noun: "barred zones"},
		{name: "bar_service", form: yesNo, doc: "No new sessions.", noun: "barring"},
	}
}

func serviceTables() []table {
	named := append([]field{
		{name: "name", required: true, doc: "What switches call it.", noun: "name"},
		{name: "service", doc: "Of which service; left out = the main one.", noun: "service"},
	}, profileFields(false)...)
	return []table{
		{"profile", "The service that the network is told to give.", profileFields(true)},
		{"named_profile", "A profile that a switch or an action names.", named},
		{"switch", "Puts a profile in force while all its conditions hold.", []field{
			{name: "when", form: record, of: "condition", many: true, required: true, doc: "The conditions.", noun: "condition"},
			{name: "profile", required: true, doc: "The profile.", noun: "profile"},
		}},
		{"condition", "What may switch the profile.", []field{
			{name: "kind", form: choice, required: true, choices: []string{"allowance-used", "balance-zero", "balance-negative", "overdue", "window", "turbo"},
				doc: "Which.", noun: "kind"},
			{name: "allowance", doc: "allowance-used: which.", noun: "allowance"},
			{name: "window", doc: "window: which.", noun: "window"},
			{name: "days", form: count, doc: "overdue: for how many days.", noun: "days"},
		}},
		{"reservation", "What is held ahead for a metered session.", []field{
			{name: "quota", form: measure, doc: "How much of the metered unit.", noun: "quota"},
			{name: "ttl", form: span, doc: "How long after the last report, 60s to 30d.", noun: "time to live"},
		}},
	}
}

func marketingTables() []table {
	return []table{
		{"promotion", "Takes something off what components cost, or gives something.", []field{
			{name: "id", required: true, doc: "Short name, unique in the offering.", noun: "id"},
			{name: "name", required: true, doc: "What the bill calls it.", noun: "name"},
			{name: "kind", form: choice, required: true,
				choices: []string{"discount", "trial", "top-up", "referral", "loyalty", "cross-sell", "happy-hours", "birthday"}, doc: "The reason.", noun: "kind"},
			{name: "from", form: instant, doc: "Start; left out = always.", noun: "start"},
			{name: "until", form: instant, doc: "End, exclusive; left out = for ever.", noun: "end"},
			{name: "applies", many: true, doc: "Names of components; left out = all.", noun: "components"},
			{name: "amount", form: amount, doc: "Off each charge.", noun: "amount off"},
			{name: "percent", form: percent, doc: "Off each charge.", noun: "part off"},
			{name: "periods", form: count, doc: "For how many periods; left out = always.", noun: "number of periods"},
			{name: "days", form: count, doc: "birthday: how many days.", noun: "number of days"},
			{name: "window", doc: "happy-hours: the window.", noun: "window"},
			{name: "with", many: true, doc: "cross-sell: ids of offerings held too.", noun: "other offerings"},
			{name: "tenure", form: record, of: "tenure", many: true, doc: "loyalty: by months, rising.", noun: "tier of tenure"},
			{name: "bonus", form: record, of: "bonus", many: true, doc: "top-up and referral: by amount, rising.", noun: "tier of bonus"},
			{name: "gives", doc: "The allowance that the bonus goes to; left out = money.", noun: "balance of the bonus"},
			{name: "budget", form: amount, doc: "For all customers together; left out = no limit.", noun: "budget"},
			{name: "count", form: count, doc: "Times in all; left out = no limit.", noun: "limit of times"},
			{name: "per_person", form: count, doc: "Times for each; left out = no limit.", noun: "limit for each person"},
			{name: "order", form: count, doc: "Lower applies first.", noun: "order"},
			{name: "group", doc: "Of those of one group only the best applies.", noun: "group"},
			{name: "exclusive", form: yesNo, doc: "Applies alone.", noun: "exclusiveness"},
		}},
		{"tenure", "What a subscription of some age gets.", []field{
			{name: "months", form: count, required: true, doc: "From how many months on.", noun: "months"},
			{name: "percent", form: percent, required: true, doc: "Off.", noun: "part off"},
		}},
		{"bonus", "What a top-up brings.", []field{
			{name: "from", form: amount, required: true, doc: "From what amount on.", noun: "least top-up"},
			{name: "amount", form: amount, doc: "An amount.", noun: "amount"},
			{name: "percent", form: percent, doc: "A part of the top-up.", noun: "part"},
		}},
		{"eligibility", "Who may buy; what is left out is not asked.", []field{
			{name: "regions", many: true, doc: "Regions.", noun: "regions"},
			{name: "segments", many: true, doc: "Segments of customers.", noun: "segments"},
			{name: "customer_types", form: choice, many: true, choices: []string{"person", "company"}, doc: "Types of customer.", noun: "customer types"},
			{name: "channels", many: true, doc: "Channels of sale.", noun: "channels"},
			{name: "from", form: instant, doc: "Sale begins.", noun: "start of sale"},
			{name: "until", form: instant, doc: "Sale ends, exclusive.", noun: "end of sale"},
		}},
	}
}
