// Package figure collects what benchmarks measure and prints it the way
// docs/benchmarks.md explains: ours and a peer's turn and turn about, medians
// of the rounds, one RESULT line per figure, and rows for the table of the page
// with the spread.
//
//	sheet := figure.NewSheet(os.Stdout, opens, starts)
//	err := figure.Rounds(ctx, func(round int) error {
//		return figure.Turns(round, ours, theirs)
//	})
//	sheet.Add(opens, oursPerSecond, theirsPerSecond) // once a round
//	sheet.Print()
//
// A benchmark whose check of what was carried fails calls Void, and its figures
// are not printed; one that could not be run calls Missing, and they are
// printed as dashes with the reason. Drop forgets those of a peer. Nothing here judges a figure.
package figure
