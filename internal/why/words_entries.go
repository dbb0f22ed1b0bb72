package why

// entryWords are the templates of ledger entries, by the kind's name in the books,
// and of what the centre books itself.
type entryWords struct {
	language  Language
	entries   map[string]string
	details   map[string]string // outcomes
	cash      string
	balance   string // id
	allowance string // name
	version   string // offering, version
	unknown   string // pieces that are not known
	nothing   string // no pieces
	more      string // count
}

func englishEntries() entryWords {
	return entryWords{
		language: English,
		entries: map[string]string{
			"epoch":            "Region {region} begins epoch {epoch} of its ledger.",
			"usage":            "Usage of {service} from {from} to {to}, by {offering}: {pieces}.",
			"charge":           "{amount} from {bucket} for {service} from {from} to {to}, by {offering}: {pieces}.",
			"recurring":        "{amount} from {bucket}: {charge}",
			"order_debit":      "{amount} from {bucket} by order {ref}, reason: {reason}.",
			"taken":            "{amount} were taken in by region {region} and credited to {bucket}, reference {ref}.",
			"returned":         "Region {region} gives {amount} of {bucket} back to the centre; the subscriber has as much as before.",
			"borrowed":         "Region {region}, without the centre, lends {amount} to {bucket}.",
			"repaid":           "{amount} from {bucket} repay what region {region} had lent.",
			"overrun":          "{amount} for {quantity} that no balance could pay, {detail}: {service} from {from} to {to}, by {offering}: {pieces}.",
			"quarantine":       "Usage of session {session} ({octets}) is recorded and not charged: {detail}.",
			"order":            "Order {ref}: {detail}.",
			"nas_totals":       "NAS {nas} counted {quantity} new sessions and {octets} from {from} to {to}.",
			"given":            "{amount} of {detail} are given for the period from {from}.",
			"expired":          "{amount} of {detail} are over: their time has ended.",
			"refund":           "{amount} come back to {bucket}: {service} from {from} to {to} has become cheaper, by {offering}: {pieces}.",
			"overrun_reversed": "{amount} of what no balance had paid are not charged any more, {detail}: {service} from {from} to {to} has become cheaper, by {offering}: {pieces}.",
			"notice":           "Threshold {ref} was reached; of {detail} are left: {quantity}.",
			"one_time":         "{amount} from {bucket}: {charge}",
			"credit":           "{amount} to {bucket}: {charge}",
			"owed":             "{amount} that no balance could pay, owed: {charge}",

			"payment":    "{amount} were paid by {detail}, reference {ref}, and credited to {bucket}.",
			"chargeback": "{amount} of payment {ref} were taken back, reason: {reason}.",
			"correction": "Usage of session {session} was priced again by {offering}, at {quantity}: {detail}.",
		},
		details: map[string]string{"executed": "executed", "refused": "refused", "owed": "owed", "absorbed": "borne by the operator",
			"back": "%s come back to %s", "debt": "the debt changes by %s", "bears": "what the operator bears changes by %s", "waived": "%s are waived", "same": "nothing changes"},
		cash: "the cash balance", balance: "balance %s", allowance: "the allowance %s", version: "%s, version %d",
		unknown: "pieces that are not known", nothing: "nothing is charged", more: "and %d more",
	}
}

func russianEntries() entryWords {
	return entryWords{
		language: Russian,
		entries: map[string]string{
			"epoch":            "Регион {region} начинает эпоху {epoch} своего журнала.",
			"usage":            "Услуга {service} с {from} по {to}, тариф «{offering}»: {pieces}.",
			"charge":           "{amount}, списано с: {bucket}. Услуга {service} с {from} по {to}, тариф «{offering}»: {pieces}.",
			"recurring":        "{amount}, списано с: {bucket}. {charge}",
			"order_debit":      "{amount}, списано с: {bucket}, по распоряжению {ref}, причина: {reason}.",
			"taken":            "{amount} принято в регионе {region} и зачислено на: {bucket}, документ {ref}.",
			"returned":         "Регион {region} возвращает центру {amount}, {bucket}; у абонента остаётся столько же.",
			"borrowed":         "Регион {region} без связи с центром даёт в долг {amount}, {bucket}.",
			"repaid":           "{amount}, списано с: {bucket}, в погашение долга региону {region}.",
			"overrun":          "{amount} за {quantity} сверх всех балансов, {detail}. Услуга {service} с {from} по {to}, тариф «{offering}»: {pieces}.",
			"quarantine":       "Трафик сессии {session} ({octets}) учтён без оплаты: {detail}.",
			"order":            "Распоряжение {ref}: {detail}.",
			"nas_totals":       "NAS {nas}: новых сессий {quantity}, объём {octets}, с {from} по {to}.",
			"given":            "Начислено {amount}, пакет {detail}, за период с {from}.",
			"expired":          "Сгорает {amount}, пакет {detail}: срок истёк.",
			"refund":           "{amount} возвращается на: {bucket}. Услуга {service} с {from} по {to} подешевела, тариф «{offering}»: {pieces}.",
			"overrun_reversed": "{amount} из того, что не оплатил ни один баланс, больше не начисляется, {detail}. Услуга {service} с {from} по {to} подешевела, тариф «{offering}»: {pieces}.",
			"notice":           "Достигнут порог {ref}; остаток {detail}: {quantity}.",
			"one_time":         "{amount}, списано с: {bucket}. {charge}",
			"credit":           "{amount}, зачислено на: {bucket}. {charge}",
			"owed":             "{amount} в долг: не хватило средств. {charge}",

			"payment":    "Платёж {amount} ({detail}), документ {ref}, зачислен на: {bucket}.",
			"chargeback": "{amount} платежа {ref} отозвано, причина: {reason}.",
			"correction": "Трафик сессии {session} пересчитан по тарифу «{offering}», стоимость {quantity}: {detail}.",
		},
		details: map[string]string{"executed": "выполнено", "refused": "отклонено", "owed": "в долг", "absorbed": "за счёт оператора",
			"back": "%s возвращается на: %s", "debt": "долг меняется на %s", "bears": "расход оператора меняется на %s", "waived": "%s прощено", "same": "без изменений"},
		cash: "денежный баланс", balance: "баланс %s", allowance: "пакет %s", version: "%s, версия %d",
		unknown: "состав неизвестен", nothing: "ничего не начислено", more: "и ещё %d",
	}
}

func arabicEntries() entryWords {
	return entryWords{
		language: Arabic,
		entries: map[string]string{
			"epoch":            "تبدأ المنطقة {region} الحقبة {epoch} من سجلها.",
			"usage":            "الخدمة {service} من {from} إلى {to} حسب {offering}: {pieces}.",
			"charge":           "{amount} من {bucket} عن الخدمة {service} من {from} إلى {to} حسب {offering}: {pieces}.",
			"recurring":        "{amount} من {bucket}: {charge}",
			"order_debit":      "{amount} من {bucket} بموجب الأمر {ref}، السبب: {reason}.",
			"taken":            "استلمت المنطقة {region} مبلغ {amount} وأُضيف إلى {bucket}، المرجع {ref}.",
			"returned":         "تعيد المنطقة {region} إلى المركز {amount} من {bucket}، ويبقى للمشترك ما كان له.",
			"borrowed":         "المنطقة {region} دون اتصال بالمركز تُقرض {amount} إلى {bucket}.",
			"repaid":           "{amount} من {bucket} سدادًا لما أقرضته المنطقة {region}.",
			"overrun":          "{amount} عن {quantity} لم يكفِ لها أي رصيد، {detail}. الخدمة {service} من {from} إلى {to} حسب {offering}: {pieces}.",
			"quarantine":       "استخدام الجلسة {session} ({octets}) مسجل دون احتساب: {detail}.",
			"order":            "الأمر {ref}: {detail}.",
			"nas_totals":       "الجهاز {nas}: {quantity} جلسات جديدة و{octets} من {from} إلى {to}.",
			"given":            "مُنح {amount} من {detail} للفترة من {from}.",
			"expired":          "انتهت صلاحية {amount} من {detail}.",
			"refund":           "يُعاد {amount} إلى {bucket}: أصبحت الخدمة {service} من {from} إلى {to} أرخص حسب {offering}: {pieces}.",
			"overrun_reversed": "{amount} مما لم يدفعه أي رصيد لم يعد محسوبًا، {detail}: أصبحت الخدمة {service} من {from} إلى {to} أرخص حسب {offering}: {pieces}.",
			"notice":           "بُلغ الحد {ref}، والمتبقي من {detail}: {quantity}.",
			"one_time":         "{amount} من {bucket}: {charge}",
			"credit":           "{amount} إلى {bucket}: {charge}",
			"owed":             "{amount} دين لم يكفِ له أي رصيد: {charge}",

			"payment":    "دُفع {amount} ({detail})، المرجع {ref}، وأُضيف إلى {bucket}.",
			"chargeback": "استُرد {amount} من الدفعة {ref}، السبب: {reason}.",
			"correction": "أُعيد تسعير استخدام الجلسة {session} حسب {offering} بمبلغ {quantity}: {detail}.",
		},
		details: map[string]string{"executed": "نُفّذ", "refused": "رُفض", "owed": "دين", "absorbed": "على حساب المشغّل",
			"back": "يُعاد %s إلى %s", "debt": "يتغير الدين بمقدار %s", "bears": "يتغير ما يتحمله المشغّل بمقدار %s", "waived": "أُسقط %s", "same": "لا تغيير"},
		cash: "الرصيد النقدي", balance: "الرصيد %s", allowance: "الباقة %s", version: "%s، الإصدار %d",
		unknown: "تفاصيل غير معروفة", nothing: "لا مبلغ", more: "و%d أخرى",
	}
}
