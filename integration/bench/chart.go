package main

import (
	"bytes"
	"image/color"
	"os"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

const (
	barHeight  = vg.Length(9)
	panelWidth = 13 * vg.Centimeter
	legendSize = 20 // in height
	// longestBar is the ratio at which bars end, so that one long bar does not
	// shrink all others. The number next to the bar is the exact ratio.
	longestBar = 6.0
	// fontFamily is the font of the layout. fontFamilies are fonts with the same
	// metrics on other systems.
	fontFamily   = "Liberation Sans"
	fontFamilies = "Liberation Sans,Arimo,Arial,Helvetica,sans-serif"
)

// writeChart draws wall time and CPU as multiples of the baseline, in SVG.
func writeChart(path string, results []result) error {
	s := layOut(results)
	wall := panel("wall time ÷ baseline", s, func(r row) float64 { return r.wallRatio })
	cpu := panel("client CPU ÷ baseline", s, func(r row) float64 { return r.cpuRatio })
	cpu.HideY()

	svg := vgsvg.New(2*panelWidth, vg.Length(s.height)*barHeight+3*vg.Centimeter)
	canvas := draw.New(svg)
	canvas.SetColor(color.White)
	canvas.Fill(canvas.Rectangle.Path())
	tiles := draw.Tiles{Rows: 1, Cols: 2, PadX: vg.Centimeter, PadTop: legendSize, PadBottom: 6, PadLeft: 6, PadRight: 6}
	plots := [][]*plot.Plot{{wall, cpu}}
	for i, c := range plot.Align(plots, tiles, canvas)[0] {
		plots[0][i].Draw(c)
	}
	drawLegend(canvas, wall.Title.TextStyle, s.names)

	var out bytes.Buffer
	if _, err := svg.WriteTo(&out); err != nil {
		return err
	}
	return os.WriteFile(path, bytes.ReplaceAll(out.Bytes(), []byte(fontFamily), []byte(fontFamilies)), 0o644)
}

// slots are the positions of all bars, in bar heights from the top.
type slots struct {
	bars   []slot
	titles plot.ConstantTicks
	names  []string // of the clients, in order of appearance
	height float64
}

type slot struct {
	y   float64
	row row
}

func layOut(results []result) slots {
	var s slots
	seen := map[string]bool{}
	for _, r := range results {
		top := s.height
		for _, row := range r.rows {
			if row.wall == 0 {
				continue
			}
			s.bars = append(s.bars, slot{-s.height - 0.5, row})
			s.height++
			if name, _ := clientOf(row); !seen[name] {
				seen[name] = true
				s.names = append(s.names, name)
			}
		}
		title := strings.ReplaceAll(r.workload.title, ", ", ",\n") + "\nto " + serverText(r.workload.server)
		s.titles = append(s.titles, plot.Tick{Value: -(top + s.height) / 2, Label: title})
		s.height++ // between groups
	}
	return s
}

func serverText(k serverKind) string {
	if k == toSink {
		return "a sink"
	}
	return string(k)
}

// clientOf splits the name of a row into the client and the variant of its run.
func clientOf(r row) (name, variant string) {
	name, variant, _ = strings.Cut(r.name, ", ")
	return name, variant
}

func panel(title string, s slots, ratio func(row) float64) *plot.Plot {
	p := plot.New()
	for _, style := range []*draw.TextStyle{&p.Title.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label} {
		style.Font.Variant, style.Font.Size = "Sans", 9
	}
	p.Title.Text = title
	p.Title.TextStyle.Font.Size = 11
	p.X.Min, p.X.Max = 0, longestBar*1.3 // room for the number
	p.Y.Min, p.Y.Max = -s.height, 0
	p.X.Tick.Marker = plot.ConstantTicks{
		{Value: 0, Label: "0"}, {Value: 1, Label: "1"}, {Value: 2, Label: "2"},
		{Value: 4, Label: "4"}, {Value: longestBar, Label: "6"},
	}
	p.Y.Tick.Marker = s.titles
	p.Y.Tick.Length = 0
	p.Y.LineStyle.Width = 0
	p.Y.Padding = 12 // other fonts may be wider
	grid := plotter.NewGrid()
	grid.Horizontal.Width = 0
	grid.Vertical.Color = color.Gray{225}
	p.Add(grid, bars{s.bars, ratio})
	return p
}

// bars draws the slots.
type bars struct {
	slots []slot
	ratio func(row) float64
}

// Plot implements [plot.Plotter].
func (b bars) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	label := p.X.Tick.Label
	label.XAlign, label.YAlign, label.Font.Size = draw.XLeft, draw.YCenter, 8
	for _, s := range b.slots {
		name, variant := clientOf(s.row)
		value := b.ratio(s.row)
		right, middle := x(min(value, longestBar)), y(s.y)
		const half = barHeight * 0.42
		fill(c, name, vg.Rectangle{Min: vg.Point{X: x(0), Y: middle - half}, Max: vg.Point{X: right, Y: middle + half}})
		text := ratioText(value)
		if variant != "" {
			text += " (" + variant + ")"
		}
		c.FillText(label, vg.Point{X: right + 3, Y: middle}, text)
	}
}

func fill(c draw.Canvas, client string, r vg.Rectangle) {
	c.SetColor(colorOf(client))
	c.Fill(r.Path())
}

// drawLegend draws the clients' names at the top.
func drawLegend(c draw.Canvas, style draw.TextStyle, names []string) {
	style.XAlign, style.YAlign, style.Font.Size = draw.XLeft, draw.YCenter, 9
	const swatch = vg.Length(8)
	at := vg.Point{X: c.Min.X + 8, Y: c.Max.Y - legendSize/2}
	for _, name := range names {
		fill(c, name, vg.Rectangle{Min: at.Sub(vg.Point{Y: swatch / 2}), Max: at.Add(vg.Point{X: swatch, Y: swatch / 2})})
		at.X += swatch + 4
		c.FillText(style, at, name)
		at.X += style.Width(name) + 16
	}
}

// colorOf returns the color of a client. The palette is safe for color-blind
// readers.
func colorOf(name string) color.Color {
	switch name {
	case nameBaseline:
		return color.Gray{160}
	case nameTus:
		return color.RGBA{0, 114, 178, 255}
	case nameHTTP:
		return color.RGBA{230, 159, 0, 255}
	case nameCurl:
		return color.RGBA{0, 158, 115, 255}
	}
	return color.RGBA{213, 94, 0, 255}
}
