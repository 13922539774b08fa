package kernfs

import "testing"

func TestNatural(t *testing.T) {
	order := []string{"", "a", "efa_0", "mlx5_0", "mlx5_2", "mlx5_10", "mlx5_10x", "mlx5_bond_0"}
	for i, a := range order {
		for j, b := range order {
			if got := Natural(a, b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("natural(%q, %q) = %d", a, b, got)
			}
		}
	}
}
