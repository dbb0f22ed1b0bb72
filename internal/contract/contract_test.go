package contract

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"meridian/internal/canon"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

func plan(t testing.TB, o tariff.Offering) *Plan {
	t.Helper()
	o.Version, o.Name, o.Currency, o.Service, o.Overrun = 1, "Offering", "EUR", "internet", tariff.Owed
	o.Profile = tariff.Profile{SessionLimit: 1, InterimSeconds: 60}
	if o.ID == "" {
		o.ID = "plan"
	}
	p, err := rating.Compile(&o, rating.Env{})
	if err != nil {
		t.Fatal(err)
	}
	return &Plan{&o, p}
}

// fee is a monthly fee of the calendar, by the day, of which the rest is given back.
func fee(price string) tariff.Recurring {
	return tariff.Recurring{Name: "fee", Price: amount(price), Every: tariff.Period{Unit: tariff.Month, Count: 1},
		Anchor: tariff.Calendar, Proration: tariff.ActualDays, Cancel: tariff.PartCredit}
}

func amount(s string) money.Amount {
	a, err := money.Parse(s)
	if err != nil {
		panic(err)
	}
	return a
}

func with(r tariff.Recurring, set func(*tariff.Recurring)) tariff.Recurring {
	set(&r)
	return r
}

func instant(t testing.TB, s string) int64 {
	t.Helper()
	at, err := time.Parse("2006-01-02T15:04Z07:00", s)
	if err != nil {
		t.Fatal(err)
	}
	return at.Unix()
}

// line writes a charge: kind, component, amount, days, what promotions took.
func line(p *Plan, c *Charge) string {
	day := func(t int64) string {
		d, s := p.Rating.Local(t)
		y, m, n := tariff.Civil(d)
		text := fmt.Sprintf("%d-%02d-%02d", y, m, n)
		if s != 0 {
			text += fmt.Sprintf("T%02d:%02d", s/3600, s/60%60)
		}
		return text
	}
	out := fmt.Sprintf("%s %s", c.Component, c.Amount)
	if c.Kind == Credit {
		out = fmt.Sprintf("%s back %s", c.Component, c.Amount)
	}
	if c.Kind != OneTime {
		out += fmt.Sprintf(" %s..%s", day(c.From), day(c.To))
	}
	if c.Part() {
		out += fmt.Sprintf(" %d/%d", c.Days, c.Of)
	}
	for _, r := range c.Off {
		out += fmt.Sprintf(" (%s -%s)", r.Promotion, r.Amount)
	}
	return out
}

// play runs a script on plans: "INSTANT activate", "INSTANT run", "… change 1",
// "… cancel", "… pause", "… resume". Each step first takes what is due before.
func play(t testing.TB, f *Facts, script []string, plans ...*Plan) string {
	t.Helper()
	s, p := &State{}, plans[0]
	var out []string
	for _, step := range script {
		word := strings.Fields(step)
		at := instant(t, word[0])
		run := func() {
			for range 1000 {
				c, due, err := p.Next(s, f, at)
				if err != nil {
					t.Fatal(err)
				}
				if !due {
					return
				}
				p.Take(s, &c)
				out = append(out, line(p, &c))
			}
			t.Fatal("no end")
		}
		if word[1] != "resume" {
			run()
		}
		var list []Charge
		var err error
		switch word[1] {
		case "activate":
			p.Activate(s, at)
		case "change":
			to := plans[word[2][0]-'0']
			list, err = Change(p, to, s, f, at)
			p = to
		case "cancel":
			list, err = p.Cancel(s, f, at)
		case "pause":
			s.Pause(at)
		case "resume":
			run() // what is owed of the time before
			p.Resume(s, at)
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range list {
			out = append(out, line(p, &list[i]))
		}
		run()
		var w canon.Writer
		s.Append(&w)
		r := canon.NewReader(w.B)
		again := Read(r, func(s string) string { return s })
		if err := r.Close(); err != nil || fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", *s) {
			t.Fatalf("read back %+v, %v; want %+v", again, err, *s)
		}
	}
	return strings.Join(out, "; ")
}

func TestContract(t *testing.T) {
	berlin := func(list ...tariff.Recurring) tariff.Offering {
		return tariff.Offering{Zone: "Europe/Berlin", Recurring: list}
	}
	setup := berlin(fee("31.00"))
	setup.OneTime = []tariff.OneTime{{Name: "setup", Price: amount("10.00")}}
	flat := tariff.Offering{Recurring: tariff.EachDays(amount("10.00"), 30)}
	flat20 := tariff.Offering{Recurring: []tariff.Recurring{{Name: "twenty", Price: amount("20.00"), Every: tariff.Period{Unit: tariff.Day, Count: 30}}}}
	anniversary := with(fee("31.00"), func(r *tariff.Recurring) { r.Anchor = tariff.Anniversary })
	arrears := with(fee("31.00"), func(r *tariff.Recurring) { r.Due = tariff.Arrears })
	full := with(fee("31.00"), func(r *tariff.Recurring) { r.Cancel = tariff.FullCredit })
	kept := with(fee("31.00"), func(r *tariff.Recurring) { r.Cancel = tariff.NoCredit })
	thirty := with(fee("30.00"), func(r *tariff.Recurring) { r.Proration = tariff.Fixed30 })
	whole := with(fee("31.00"), func(r *tariff.Recurring) { r.Proration = tariff.NoProrate })
	second := with(arrears, func(r *tariff.Recurring) { r.Name, r.Price = "second", amount("62.00") })
	const day = "2026-03-11T10:00+01:00"
	for _, c := range []struct {
		name   string
		plans  []tariff.Offering
		script []string
		want   string
	}{
		{"one-time, a part, a month; the clocks go forward on the 29th", []tariff.Offering{setup}, []string{day + " activate", "2026-04-30T21:59Z run"},
			"setup 10.00; fee 21.00 2026-03-11T10:00..2026-04-01 21/31; fee 31.00 2026-04-01..2026-05-01"},
		{"the month begins in the offering's zone", []tariff.Offering{setup}, []string{day + " activate", "2026-03-31T22:00Z run"},
			"setup 10.00; fee 21.00 2026-03-11T10:00..2026-04-01 21/31; fee 31.00 2026-04-01..2026-05-01"},
		{"anniversary of the 31st, through February", []tariff.Offering{berlin(anniversary)}, []string{"2027-01-31T12:00+01:00 activate", "2027-03-31T12:00+02:00 run"},
			"fee 31.00 2027-01-31T12:00..2027-02-28T12:00; fee 31.00 2027-02-28T12:00..2027-03-31T12:00; fee 31.00 2027-03-31T12:00..2027-04-30T12:00"},
		{"at an hour that comes twice", []tariff.Offering{berlin(with(anniversary, func(r *tariff.Recurring) { r.Every = tariff.Period{Unit: tariff.Day, Count: 1} }))},
			[]string{"2026-10-24T02:30+02:00 activate", "2026-10-26T02:00+01:00 run"},
			"fee 31.00 2026-10-24T02:30..2026-10-25T02:30; fee 31.00 2026-10-25T02:30..2026-10-26T02:30"},
		{"at an hour that is left out", []tariff.Offering{berlin(with(anniversary, func(r *tariff.Recurring) { r.Every = tariff.Period{Unit: tariff.Day, Count: 1} }))},
			[]string{"2026-03-28T02:30+01:00 activate", "2026-03-30T01:00+02:00 run"},
			"fee 31.00 2026-03-28T02:30..2026-03-29T03:30; fee 31.00 2026-03-29T03:30..2026-03-30T02:30"},
		{"in arrears, at the end of the month and of the contract", []tariff.Offering{berlin(arrears)}, []string{day + " activate", "2026-04-10T09:00+02:00 cancel"},
			"fee 21.00 2026-03-11T10:00..2026-04-01 21/31; fee 10.333333 2026-04-01..2026-04-10T09:00 10/30"},
		{"the unused days are given back, a begun day is used", []tariff.Offering{berlin(fee("31.00"))}, []string{day + " activate", "2026-03-20T09:00+01:00 cancel"},
			"fee 21.00 2026-03-11T10:00..2026-04-01 21/31; fee back 11.00 2026-03-20T09:00..2026-04-01 11/21"},
		{"ended at midnight", []tariff.Offering{berlin(fee("31.00"))}, []string{day + " activate", "2026-03-20T00:00+01:00 cancel"},
			"fee 21.00 2026-03-11T10:00..2026-04-01 21/31; fee back 12.00 2026-03-20..2026-04-01 12/21"},
		{"all is given back", []tariff.Offering{berlin(full)}, []string{day + " activate", "2026-03-31T09:00+02:00 cancel"},
			"fee 21.00 2026-03-11T10:00..2026-04-01 21/31; fee back 21.00 2026-03-31T09:00..2026-04-01"},
		{"nothing is given back", []tariff.Offering{berlin(kept)}, []string{day + " activate", "2026-03-20T09:00+01:00 cancel"}, "fee 21.00 2026-03-11T10:00..2026-04-01 21/31"},
		{"months of thirty days", []tariff.Offering{berlin(thirty)}, []string{"2027-02-11T00:00+01:00 activate", "2027-03-31T00:00+02:00 cancel"},
			"fee 20.00 2027-02-11..2027-03-01 20/30; fee 30.00 2027-03-01..2027-04-01; fee back 1.00 2027-03-31..2027-04-01 1/30"},
		{"no proration: any part is the whole", []tariff.Offering{berlin(whole)}, []string{day + " activate", "2026-04-01T00:00+02:00 run"},
			"fee 31.00 2026-03-11T10:00..2026-04-01; fee 31.00 2026-04-01..2026-05-01"},
		{"change by the day: the day of the change is the new plan's", []tariff.Offering{berlin(fee("31.00")), berlin(fee("62.00"))},
			[]string{"2026-03-01T00:00+01:00 activate", "2026-03-11T10:00+01:00 change 1", "2026-04-01T00:00+02:00 run"},
			"fee 31.00 2026-03-01..2026-04-01; fee back 21.00 2026-03-11T10:00..2026-04-01 21/31; fee 42.00 2026-03-11T10:00..2026-04-01 21/31; fee 62.00 2026-04-01..2026-05-01"},
		{"two changes in a day", []tariff.Offering{berlin(fee("31.00")), berlin(fee("62.00"))},
			[]string{"2026-03-01T00:00+01:00 activate", "2026-03-11T10:00+01:00 change 1", "2026-03-11T11:00+01:00 change 0"},
			"fee 31.00 2026-03-01..2026-04-01; fee back 21.00 2026-03-11T10:00..2026-04-01 21/31; fee 42.00 2026-03-11T10:00..2026-04-01 21/31; " +
				"fee back 42.00 2026-03-11T11:00..2026-04-01; fee 21.00 2026-03-11T11:00..2026-04-01 21/31"},
		{"change in arrears", []tariff.Offering{berlin(arrears), berlin(second)},
			[]string{"2026-03-01T00:00+01:00 activate", "2026-03-11T10:00+01:00 change 1", "2026-04-01T00:00+02:00 run"},
			"fee 10.00 2026-03-01..2026-03-11T10:00 10/31; second 42.00 2026-03-11T10:00..2026-04-01 21/31"},
		{"what is paid without proration goes on", []tariff.Offering{flat, flat}, []string{"2026-03-01T10:00Z activate", "2026-03-11T10:00Z change 1", "2026-03-31T10:00Z run"},
			"recurring 10.00 2026-03-01T10:00..2026-03-31T10:00; recurring 10.00 2026-03-31T10:00..2026-04-30T10:00"},
		{"and another fee begins after it", []tariff.Offering{flat, flat20}, []string{"2026-03-01T10:00Z activate", "2026-03-11T10:00Z change 1", "2026-03-31T10:00Z run"},
			"recurring 10.00 2026-03-01T10:00..2026-03-31T10:00; twenty 20.00 2026-03-31T10:00..2026-04-30T10:00"},
		{"also when there is none between", []tariff.Offering{flat, {OneTime: []tariff.OneTime{{Name: "free"}}}, flat20}, []string{"2026-03-01T10:00Z activate", "2026-03-11T10:00Z change 1", "2026-03-21T10:00Z change 2", "2026-03-31T10:00Z run"},
			"recurring 10.00 2026-03-01T10:00..2026-03-31T10:00; free 0.00; twenty 20.00 2026-03-31T10:00..2026-04-30T10:00"},
		{"a pause is not owed", []tariff.Offering{flat}, []string{"2026-03-01T10:00Z activate", "2026-03-30T10:00Z pause", "2026-05-05T12:00Z resume"},
			"recurring 10.00 2026-03-01T10:00..2026-03-31T10:00; recurring 10.00 2026-05-05T12:00..2026-06-04T12:00"},
		{"what was used before a pause is", []tariff.Offering{berlin(arrears)}, []string{"2026-03-01T00:00+01:00 activate", "2026-03-10T10:00+01:00 pause", "2026-05-31T12:00+02:00 resume", "2026-06-01T00:00+02:00 run"},
			"fee 10.00 2026-03-01..2026-03-10T10:00 10/31; fee 1.00 2026-05-31T12:00..2026-06-01 1/31"},
		{"a quarter and a year of the calendar, a half month, a week", []tariff.Offering{berlin(
			with(fee("90.00"), func(r *tariff.Recurring) { r.Name, r.Every.Count = "quarter", 3 }),
			with(fee("365.00"), func(r *tariff.Recurring) { r.Name, r.Every.Unit = "year", tariff.Year }),
			with(fee("16.00"), func(r *tariff.Recurring) { r.Name, r.Every.Unit = "half", tariff.HalfMonth }),
			with(fee("7.00"), func(r *tariff.Recurring) { r.Name, r.Every.Unit = "week", tariff.Week }))},
			[]string{"2026-12-22T00:00+01:00 activate", "2026-12-28T00:00+01:00 run"},
			"quarter 9.782609 2026-12-22..2027-01-01 10/92; year 10.00 2026-12-22..2027-01-01 10/365; half 10.00 2026-12-22..2027-01-01 10/16; week 6.00 2026-12-22..2026-12-28 6/7; week 7.00 2026-12-28..2027-01-04"},
		{"two fees, one of them later", []tariff.Offering{berlin(arrears, second), berlin(second)}, []string{"2026-03-01T00:00+01:00 activate", "2026-04-01T00:00+02:00 change 1", "2026-04-16T00:00+02:00 cancel"},
			"fee 31.00 2026-03-01..2026-04-01; second 62.00 2026-03-01..2026-04-01; second 31.00 2026-04-01..2026-04-16 15/30"},
	} {
		plans := make([]*Plan, len(c.plans))
		for i, o := range c.plans {
			o.ID = fmt.Sprintf("plan%d", i)
			plans[i] = plan(t, o)
		}
		if got := play(t, nil, c.script, plans...); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}
