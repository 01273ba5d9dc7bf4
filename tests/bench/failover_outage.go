package main

import (
	"fmt"
	"time"
)

// answer is when a datagram came back, by the kernel's clock.
type answer struct {
	number uint64
	at     time.Time
}

// outage is a time between two answers.
type outage struct {
	lasted time.Duration
	// before and after are the datagrams that were answered; 0: none was.
	before, after uint64
}

// note takes an answer. One that nobody asked for, or a second one, means that two
// nodes answered.
func (p *pulse) note(number uint64, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen[number] || number > p.sent.Load() {
		p.wrong = fmt.Errorf("%w: datagram %d was answered twice, or never sent", errWrong, number)
	}
	p.seen[number] = true
	p.answers = append(p.answers, answer{number, at})
}

func (p *pulse) noteLate(number uint64, late time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.late[number] = late
}

// outage is how long nobody answered at worst between two moments, and an error when it
// was the client that made it longer. Answers come every millisecond at best, so that
// an outage is what the time between two of them is longer than that: one of d has d
// datagrams unanswered on average, and d+1 ms between two answers.
func (p *pulse) outage(from, to time.Time) (time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := longestOutage(p.answers, from, to)
	// A delay outside of it, or while nobody would have answered, changes nothing.
	if late := max(p.late[o.before+1], p.late[o.after]); late > 0 {
		return 0, fmt.Errorf("%w: by %s", errStalled, late)
	}
	return max(o.lasted-pulseEvery, 0), nil
}

// answered tells whether an answer came after a moment.
func (p *pulse) answered(since time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.answers) > 0 && p.answers[len(p.answers)-1].at.After(since)
}

// longestOutage looks at the answers between two moments; the last one before them
// begins the first outage.
func longestOutage(answers []answer, from, to time.Time) (longest outage) {
	last := answer{at: from}
	for _, a := range append(answers[:len(answers):len(answers)], answer{at: to}) {
		if a.at.After(to) {
			a = answer{at: to}
		}
		if lasted := a.at.Sub(last.at); a.at.After(from) && lasted > longest.lasted {
			longest = outage{lasted, last.number, a.number}
		}
		last = a
		if a.number == 0 {
			break
		}
	}
	return longest
}
