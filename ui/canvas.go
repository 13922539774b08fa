package ui

import "unicode/utf8"

// cell is one character cell. Of a wide character the first cell holds it and the second holds continued.
type cell struct {
	r     rune // 0: blank
	style style
}

const continued rune = -1

// canvas is the screen as cells. All that is drawn goes through [canvas.put], which lets nothing onto it that a terminal would obey.
type canvas struct {
	w, h  int
	ascii bool
	cells []cell
	out   []byte // of the last frame, to be used again
}

// reset makes the canvas w × h blank cells.
func (c *canvas) reset(w, h int, ascii bool) {
	c.w, c.h, c.ascii = max(0, w), max(0, h), ascii
	n := c.w * c.h
	if cap(c.cells) < n {
		c.cells = make([]cell, n)
	}
	c.cells = c.cells[:n]
	clear(c.cells)
}

// put draws a character that [drawable] gave. The caller keeps x and x+width-1 within the canvas.
func (c *canvas) put(x, y int, r rune, width int, st style) {
	row := c.cells[y*c.w : (y+1)*c.w]
	if row[x].r == continued { // the second half of a wide character is overwritten: its first half goes too
		row[x-1].r = 0
	}
	last := x + width - 1
	if last+1 < c.w && row[last+1].r == continued {
		row[last+1].r = 0
	}
	if r == ' ' {
		r = 0
	}
	row[x] = cell{r, st}
	if width == 2 {
		row[last] = cell{continued, st}
	}
}

// render is the canvas as text: h lines of at most w cells, blanks at the ends of lines left out, colours as runs of SGR.
func (c *canvas) render(t *theme) string {
	if c.w == 0 || c.h == 0 {
		return ""
	}
	out := c.out[:0]
	for y := range c.h {
		if y > 0 {
			out = append(out, '\n')
		}
		row := c.cells[y*c.w : (y+1)*c.w]
		end := len(row)
		for end > 0 && row[end-1].r == 0 && !t.visibleBlank(row[end-1].style) {
			end--
		}
		var now style
		for _, cell := range row[:end] {
			if cell.r == continued {
				continue
			}
			if cell.style != now {
				out = t.change(out, now, cell.style)
				now = cell.style
			}
			switch {
			case cell.r == 0:
				out = append(out, ' ')
			case cell.r < utf8.RuneSelf:
				out = append(out, byte(cell.r))
			default:
				out = utf8.AppendRune(out, cell.r)
			}
		}
		if t.set(now) {
			out = append(out, "\x1b[m"...)
		}
	}
	c.out = out
	return string(out)
}

// area is a rectangle of a canvas to draw in: what lies outside its clip is cut off. Its own corner may lie outside, which is how a long page
// is scrolled.
type area struct {
	c              *canvas
	x, y, w, h     int // its rectangle on the canvas
	x0, y0, x1, y1 int // its clip on the canvas
}

// whole is the area of the whole canvas.
func (c *canvas) whole() area {
	return area{c: c, w: c.w, h: c.h, x1: c.w, y1: c.h}
}

// sub is the rectangle at x, y of a. It may reach out of a; nothing is drawn there.
func (a area) sub(x, y, w, h int) area {
	w, h = max(0, w), max(0, h)
	s := area{c: a.c, x: a.x + x, y: a.y + y, w: w, h: h}
	s.x0, s.y0 = max(a.x0, s.x), max(a.y0, s.y)
	s.x1, s.y1 = min(a.x1, s.x+w), min(a.y1, s.y+h)
	return s
}

// shows says whether the line y of a is within the clip.
func (a area) shows(y int) bool { return a.y+y >= a.y0 && a.y+y < a.y1 && a.x1 > a.x0 }

// text draws s from x on and gives the column after it. What does not fit is cut off.
func (a area) text(x, y int, s string, st style) int {
	if !a.shows(y) {
		return x + a.width(s)
	}
	for _, r := range s {
		r, w := drawable(r, a.c.ascii)
		if w == 0 {
			continue
		}
		left := a.x + x
		x += w
		if left+w > a.x1 {
			break
		}
		if left >= a.x0 {
			a.c.put(left, a.y+y, r, w, st)
		}
	}
	return x
}

// width is how many cells s takes.
func (a area) width(s string) int { return textWidth(s, a.c.ascii) }

// cut draws s in exactly w cells, blank after it, with "…" at its end where it was longer.
func (a area) cut(x, y, w int, s string, st style) {
	if w <= 0 || !a.shows(y) {
		return
	}
	box := a.sub(x, y, w, 1)
	whole, at, end := true, 0, 0 // end: where the part of s that leaves room for "…" ends
	for i, r := range s {
		_, rw := drawable(r, a.c.ascii)
		if at+rw <= w-1 {
			end = i + utf8.RuneLen(r)
			if r == utf8.RuneError {
				_, size := utf8.DecodeRuneInString(s[i:])
				end = i + size
			}
		}
		if at += rw; at > w {
			whole = false
			break
		}
	}
	if whole {
		box.fill(box.text(0, 0, s, st), 0, w, st)
		return
	}
	at = box.text(0, 0, s[:end], st)
	box.fill(box.text(at, 0, "…", st), 0, w, st)
}

// right draws s at the right end of the w cells from x on, cut at its end if need be.
func (a area) right(x, y, w int, s string, st style) {
	n := a.width(s)
	if n > w {
		a.cut(x, y, w, s, st)
		return
	}
	a.fill(x, y, x+w-n, st)
	a.text(x+w-n, y, s, st)
}

// fill blanks the cells of line y from x up to end.
func (a area) fill(x, y, end int, st style) {
	if !a.shows(y) {
		return
	}
	for i := max(a.x+x, a.x0); i < min(a.x+end, a.x1); i++ {
		a.c.put(i, a.y+y, ' ', 1, st)
	}
}

// repeat draws r n times.
func (a area) repeat(x, y, n int, r rune, st style) {
	if !a.shows(y) {
		return
	}
	r, w := drawable(r, a.c.ascii)
	for i := max(a.x+x, a.x0); i < min(a.x+x+n, a.x1) && w == 1; i++ {
		a.c.put(i, a.y+y, r, 1, st)
	}
}

// restyle lays a background and attributes under what line y already shows.
func (a area) restyle(x, y, end int, over func(style) style) {
	if !a.shows(y) {
		return
	}
	for i := max(a.x+x, a.x0); i < min(a.x+end, a.x1); i++ {
		p := &a.c.cells[(a.y+y)*a.c.w+i]
		p.style = over(p.style)
	}
}
