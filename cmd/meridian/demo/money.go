package demo

import (
	"context"
	"fmt"
	"strings"

	"meridian/cmd/meridian/apiclient"
	"meridian/cmd/meridian/plant"
	"meridian/internal/money"
)

// What is paid while the link is cut, and by how many.
const (
	paymentAmount = "1.00"
	maxPayments   = 20
)

// Prices of the prepaid offering: a price change moves from one to the other.
const (
	priceInFile = "2.00"
	priceOther  = "2.50"
)

// payment is a deposit that the centre took while the region was cut off.
type payment struct {
	who    plant.Person
	before int64 // granted to the region until then, micro-units
	amount money.Amount
}

// payments takes a deposit for each of some accounts, and repeats one of them.
func (d *demo) payments(ctx context.Context) error {
	amount, err := money.Parse(paymentAmount)
	if err != nil {
		return err
	}
	run, spent := d.began.UnixNano(), 0
	for i, who := range d.personsToPay(maxPayments) {
		granted, left, err := d.atEdge(ctx, who)
		if err != nil {
			return err
		}
		if left == 0 {
			spent++
		}
		p := apiclient.Deposit{Account: who.Account(), Amount: paymentAmount, Currency: plant.Currency, Method: "bank", Reference: "paid while the region is cut off"}
		key := fmt.Sprintf("demo-%d-pay-%s", run, who.Account())
		if err := d.plant.Centre.Deposit(ctx, key, p); err != nil {
			return err
		}
		if i == 0 { // the payer's bank repeats itself
			if err := d.plant.Centre.Deposit(ctx, key, p); err != nil {
				return err
			}
		}
		d.paid = append(d.paid, payment{who: who, before: granted, amount: amount})
	}
	d.out.line("  of %d accounts that had next to nothing, %d are spent to the last micro-unit and none below", len(d.paid), spent)
	return nil
}

// atEdge is what the region has been granted of an account's money, and what is
// left of it to be held or charged, micro-units.
func (d *demo) atEdge(ctx context.Context, who plant.Person) (granted, left int64, err error) {
	var last error
	for _, n := range d.plant.Nodes {
		views, err := n.EdgeAccount(ctx, who.Account())
		if err != nil {
			last = err
			continue
		}
		for _, v := range views {
			granted += v.Granted
			left += v.Available + v.Held
			if v.Available < 0 {
				return 0, 0, fmt.Errorf("account %s is at %s in the region: nothing may go below zero", who.Account(), money.Amount(v.Available))
			}
		}
		return granted, left, nil
	}
	return 0, 0, fmt.Errorf("account %s at the edge: %w", who.Account(), last)
}

// changePrice publishes the next version of the prepaid offering, valid from now.
func (d *demo) changePrice(ctx context.Context) (string, error) {
	now, err := d.plant.Centre.Offering(ctx, plant.OfferingPrepaid)
	if err != nil {
		return "", err
	}
	to := priceOther
	if now.Version%2 == 0 {
		to = priceInFile
	}
	text, err := plant.OfferingYAML(plant.OfferingPrepaid)
	if err != nil {
		return "", err
	}
	changed, err := repriced(text, to)
	if err != nil {
		return "", err
	}
	published, err := d.plant.Centre.Publish(ctx, fmt.Sprintf("demo-%d-price", d.began.UnixNano()), changed)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("version %d of %s at %s %s per GB", published, plant.OfferingPrepaid, to, plant.Currency), nil
}

// repriced gives the sheet of the prepaid offering another price.
func repriced(sheet, price string) (string, error) {
	const of = "price: %s per GB"
	before := fmt.Sprintf(of, priceInFile)
	if n := strings.Count(sheet, before); n != 1 {
		return "", fmt.Errorf("the sheet of %s has %q %d times: it must have it once", plant.OfferingPrepaid, before, n)
	}
	return strings.Replace(sheet, before, fmt.Sprintf(of, price), 1), nil
}

// accountsAddUp looks whether the payments reached the edge and prints a
// statement.
func (d *demo) accountsAddUp(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, failoverTimeout)
	defer cancel()
	for _, p := range d.paid {
		err := apiclient.Await(wait, func(ctx context.Context) error {
			after, _, err := d.atEdge(ctx, p.who)
			if err == nil && after != p.before+int64(p.amount) {
				err = fmt.Errorf("account %s: the region had been granted %s before the payment of %s and has %s now", p.who.Account(), money.Amount(p.before), p.amount, money.Amount(after))
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	d.out.line("  all %d payments of the outage have reached the edge, each once", len(d.paid))
	s, err := d.tellingStatement(ctx)
	if err != nil {
		return err
	}
	if err := d.printStatement(&s); err != nil {
		return err
	}
	return d.familyStatement(ctx)
}

// tellingStatement is that of somebody who paid and used the service, if there is
// one.
func (d *demo) tellingStatement(ctx context.Context) (apiclient.Statement, error) {
	people := []plant.Person{1}
	for _, p := range d.paid {
		people = append(people, p.who)
	}
	var best apiclient.Statement
	for _, who := range people {
		s, err := d.plant.Centre.Statement(ctx, who.Account())
		if err != nil {
			return s, err
		}
		if best.Account == "" || (len(s.Lines) > len(best.Lines) && len(s.Lines) <= maxStatementLines) || len(best.Lines) > maxStatementLines {
			best = s
		}
	}
	return best, nil
}

// maxStatementLines is how many lines of a statement are printed.
const maxStatementLines = 12

func (d *demo) printStatement(s *apiclient.Statement) error {
	d.out.line("  statement of %s (%s)", s.Account, s.Currency)
	d.out.line("    %-44s %14s", "opening", s.Opening)
	for i, l := range s.Lines {
		if i == maxStatementLines {
			d.out.line("    … %d more lines", len(s.Lines)-i)
			break
		}
		d.out.line("    %s  %-34s %14s", l.At.UTC().Format("15:04:05"), l.Words(), l.Amount)
	}
	d.out.line("    %-44s %14s", "credits", s.Credits)
	d.out.line("    %-44s %14s", "charges, to be taken off", s.Charges)
	d.out.line("    %-44s %14s", "closing", s.Closing)
	if err := s.AddsUp(); err != nil {
		return err
	}
	d.out.line("    opening + credits − charges = closing, and the lines add up to it")
	return nil
}
