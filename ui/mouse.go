package ui

import tea "charm.land/bubbletea/v2"

// click selects what is under the pointer.
func (m *Model) click(e tea.Mouse) tea.Cmd {
	if !m.opt.Mouse || e.Button != tea.MouseLeft || m.prompt.open {
		return nil
	}
	if m.barClick(e.X, e.Y) {
		return nil
	}
	for i := len(m.hits) - 1; i >= 0; i-- {
		h := &m.hits[i]
		if e.X >= h.x0 && e.X < h.x1 && e.Y >= h.y0 && e.Y < h.y1 {
			h.do()
			return nil
		}
	}
	if at, ok := m.gridHit(e.X, e.Y); ok && (m.screen == screenJobs || m.screen == screenJob) {
		m.jobs.view.put(at)
		m.jobs.inGrid = m.screen == screenJobs
	}
	return nil
}

// wheel moves as the arrow keys do.
func (m *Model) wheel(e tea.Mouse) {
	if !m.opt.Mouse || m.prompt.open {
		return
	}
	do := actDown
	switch e.Button {
	case tea.MouseWheelUp:
		do = actUp
	case tea.MouseWheelDown:
	default:
		return
	}
	for range 3 {
		m.move(do)
	}
}

// gridHit is the GPU at a place of the screen.
func (m *Model) gridHit(x, y int) (spot, bool) {
	v, a := &m.jobs.view, m.gridBox
	s := &v.shape
	if s.head {
		y--
	}
	if x, y = x-a.x, y-a.y; s.stacks < 1 || x < 0 || x >= a.w || y < 0 || y >= s.window {
		return spot{}, false
	}
	for row := range v.rows {
		if s.line(row)-v.top != y {
			continue
		}
		if s.bands {
			left, _ := s.bandPlace(row)
			for c := range s.cols {
				if at := left + s.cellAt(c); x >= at && x < at+s.cell {
					if s.mode == gridNodes {
						c = v.worstOf(row)
					}
					return spot{row, c}, true
				}
			}
			continue
		}
		if s.mode == gridNodes {
			if s.blockAt()+row%s.stacks == x {
				return spot{row, v.worstOf(row)}, true
			}
			continue
		}
		if left := row/s.deep*s.width() + s.blockAt(); x >= left && x < left+len(v.rows[row].refs)*s.cell {
			return spot{row, (x - left) / s.cell}, true
		}
	}
	return spot{}, false
}
