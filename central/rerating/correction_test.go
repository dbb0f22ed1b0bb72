package rerating

import (
	"reflect"
	"testing"

	"meridian/internal/journal"
	"meridian/internal/money"
)

// What was charged too much is given back in the opposite order of payment; what
// was charged too little follows the policy; earlier corrections count.
func TestCorrect(t *testing.T) {
	record := Record{Entry: &journal.Entry{Account: "a"}, Charges: []Refund{{"bonus", 30}, {"cash", 50}}, Owed: 15, Absorbed: 5, Unit: "EUR"} // 100 in all
	for _, c := range []struct {
		name             string
		earlier          []Correction
		price            money.Amount
		policy           Policy
		refunds          []Refund
		owed, abs, waive money.Amount
	}{
		{"the right price", nil, 100, Owe, nil, 0, 0, 0},
		{"a part of what is owed", nil, 90, Owe, nil, -10, 0, 0},
		{"what is owed and absorbed", nil, 80, Owe, nil, -15, -5, 0},
		{"the last bucket too", nil, 79, Owe, []Refund{{"cash", 1}}, -15, -5, 0},
		{"all buckets", nil, 20, Owe, []Refund{{"cash", 50}, {"bonus", 10}}, -15, -5, 0},
		{"for nothing", nil, 0, Waive, []Refund{{"cash", 50}, {"bonus", 30}}, -15, -5, 0},
		{"too little, owed", nil, 101, Owe, nil, 1, 0, 0},
		{"too little, waived", nil, 101, Waive, nil, 0, 0, 1},
		{"given back before, and too little now", []Correction{{Owed: -15, Absorbed: -5, Refunds: []Refund{{"cash", 50}, {"bonus", 10}}}}, 70, Owe, nil, 50, 0, 0},
		{"given back before, and too much still", []Correction{{Owed: -15, Absorbed: -5, Refunds: []Refund{{"cash", 20}}}}, 55, Owe, []Refund{{"cash", 5}}, 0, 0, 0},
		{"waived before is not owed now", []Correction{{Waived: 40}}, 100, Owe, nil, 0, 0, 0},
		{"owed before is given back first", []Correction{{Owed: 40}}, 90, Owe, nil, -50, 0, 0},
		{"into cash, where the bucket had expired", []Correction{{Owed: -15, Absorbed: -5, Refunds: []Refund{{"other", 50}}}}, 0, Owe, []Refund{{"bonus", 30}}, 0, 0, 0},
	} {
		got := Correct(record, c.earlier, c.price, c.policy)
		if !reflect.DeepEqual(got.Refunds, c.refunds) || got.Owed != c.owed || got.Absorbed != c.abs || got.Waived != c.waive {
			t.Errorf("%s: %+v", c.name, got)
		}
		got.Account = "a"
		if j, moves := got.Journal(); moves != (len(c.refunds) > 0 || c.owed != 0 || c.abs != 0) {
			t.Errorf("%s: journal %v %+v", c.name, moves, j)
		} else if err := j.Balanced(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if record.Charges[1].Amount != 50 {
		t.Error("the record given was changed")
	}
}
