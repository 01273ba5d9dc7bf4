// Package spelling compares words, for whoever wants to suggest the right one:
//
//	if spelling.Distance(word, known) <= 2 {
//		// did you mean known?
//	}
package spelling

// Distance is the Levenshtein distance of two texts, by bytes: how many letters were
// added, left out or mistaken. It takes time in proportion to the product of both
// lengths.
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
