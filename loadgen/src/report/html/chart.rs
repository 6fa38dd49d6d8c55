//! Charts as inline SVG: lines over two axes, each linear or logarithmic, with a legend and a hint on each point.

use std::fmt::Write;

use super::escape;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 270.0;
/// Space for labels: left, right, above and below.
const LEFT: f64 = 62.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 38.0;

/// Points that get a hint, at the most.
const HINTS_MAX: usize = 120;

/// How many colours there are.
const COLOURS: usize = 6;

/// How values become places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    Linear,
    Logarithmic,
}

/// An axis.
pub(super) struct Axis {
    pub(super) label: String,
    pub(super) scale: Scale,
    /// How a value is written.
    pub(super) show: fn(f64) -> String,
    /// Where the grid has lines; chosen by the values if there are none.
    pub(super) ticks: Vec<f64>,
    /// Whether it begins at 0.
    pub(super) from_zero: bool,
}

/// A line.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// A chart.
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) series: Vec<Series>,
    /// Whether points are shown, too.
    pub(super) dots: bool,
}

/// An axis with its range.
struct Range<'a> {
    axis: &'a Axis,
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

impl<'a> Range<'a> {
    fn new(axis: &'a Axis, values: impl Iterator<Item = f64>) -> Self {
        let usable = |value: &f64| value.is_finite() && (axis.scale == Scale::Linear || *value > 0.0);
        let (low, high) = values
            .chain(axis.ticks.iter().copied())
            .filter(usable)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = if low <= high { (low, high) } else { (1.0, 10.0) };
        let low = if axis.from_zero { 0.0 } else { low };
        let high = if high > low {
            high
        } else if low == 0.0 {
            1.0
        } else {
            low * 1.1
        };
        let ticks = match axis.scale {
            _ if !axis.ticks.is_empty() => axis.ticks.clone(),
            Scale::Linear => linear_ticks(low, high),
            Scale::Logarithmic => logarithmic_ticks(low, high),
        };
        let (first, last) = (ticks.first().copied().unwrap_or(low), ticks.last().copied().unwrap_or(high));
        Self { axis, low: low.min(first), high: high.max(last), ticks }
    }

    /// Where a value lies, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let place = match self.axis.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Logarithmic => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
        };
        place.clamp(0.0, 1.0)
    }
}

/// About five round numbers from `low` to above `high`.
fn linear_ticks(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low) / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].iter().map(|&factor| factor * power).find(|&step| step >= rough);
    let step = step.unwrap_or(rough);
    let (first, last) = ((low / step).floor() as i64, (high / step - 1e-9).ceil() as i64);
    (first..=last).map(|index| index as f64 * step).collect()
}

/// Powers of ten, or 1, 2 and 5 of each where there are few.
fn logarithmic_ticks(low: f64, high: f64) -> Vec<f64> {
    let (first, last) = (low.log10().floor() as i32, (high.log10() - 1e-9).ceil() as i32);
    let factors: &[f64] = if last - first <= 2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let ticks = (first..=last).flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)));
    let ticks: Vec<f64> = ticks.collect();
    let from = ticks.iter().rposition(|&tick| tick <= low * 1.0001).unwrap_or(0);
    let to = ticks.iter().position(|&tick| tick >= high * 0.9999).unwrap_or(ticks.len() - 1);
    ticks[from..=to].to_vec()
}

impl Chart {
    /// The chart as a card of the page; empty if there is nothing to draw.
    pub(super) fn card(&self) -> String {
        let points = || self.series.iter().flat_map(|series| series.points.iter());
        if points().next().is_none() {
            return String::new();
        }
        let x = Range::new(&self.x, points().map(|point| point.0));
        let y = Range::new(&self.y, points().map(|point| point.1));
        let mut text = format!("<div class=\"card\"><h3>{}</h3>", escape(&self.title));
        self.legend(&mut text);
        write!(text, "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">", escape(&self.title))
            .expect("writing to memory does not fail");
        grid(&x, &y, &mut text);
        for (index, series) in self.series.iter().enumerate() {
            self.line(index, series, &x, &y, &mut text);
        }
        text + "</svg></div>\n"
    }

    fn legend(&self, text: &mut String) {
        if self.series.len() < 2 {
            return;
        }
        text.push_str("<div class=\"legend\">");
        for (index, series) in self.series.iter().enumerate() {
            let colour = index % COLOURS;
            write!(text, "<span><i style=\"background:var(--c{colour})\"></i>{}</span>", escape(&series.name))
                .expect("writing to memory does not fail");
        }
        text.push_str("</div>");
    }

    fn line(&self, index: usize, series: &Series, x: &Range<'_>, y: &Range<'_>, text: &mut String) {
        let colour = index % COLOURS;
        let at = |&(one, other): &(f64, f64)| (horizontal(x.place(one)), vertical(y.place(other)));
        let places: Vec<String> = series.points.iter().map(at).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let mut put = |line: String| text.push_str(&line);
        put(format!("<polyline class=\"curve\" style=\"stroke:var(--c{colour})\" points=\"{}\"/>", places.join(" ")));
        let every = series.points.len().div_ceil(HINTS_MAX).max(1);
        for point in series.points.iter().step_by(every) {
            let ((cx, cy), shown) = (at(point), if self.dots { " shown" } else { "" });
            let hint = format!("{}: {} at {}", series.name, (y.axis.show)(point.1), (x.axis.show)(point.0));
            put(format!(
                "<circle class=\"mark{shown}\" style=\"fill:var(--c{colour})\" cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"3.2\">\
                 <title>{}</title></circle>",
                escape(&hint)
            ));
        }
    }
}

fn horizontal(place: f64) -> f64 {
    LEFT + place * (WIDTH - LEFT - RIGHT)
}

fn vertical(place: f64) -> f64 {
    HEIGHT - BOTTOM - place * (HEIGHT - TOP - BOTTOM)
}

/// The lines behind, and what they stand for.
fn grid(x: &Range<'_>, y: &Range<'_>, text: &mut String) {
    let (left, right, top, bottom) = (horizontal(0.0), horizontal(1.0), vertical(1.0), vertical(0.0));
    let mut put = |line: String| text.push_str(&line);
    for &tick in &y.ticks {
        let at = vertical(y.place(tick));
        put(format!("<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>"));
        put(format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 8.0,
            at + 3.5,
            escape(&(y.axis.show)(tick))
        ));
    }
    for &tick in &x.ticks {
        let at = horizontal(x.place(tick));
        let below = bottom + 16.0;
        put(format!("<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>"));
        put(format!(
            "<text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\">{}</text>",
            escape(&(x.axis.show)(tick))
        ));
    }
    put(format!("<line class=\"axis\" x1=\"{left}\" x2=\"{right}\" y1=\"{bottom}\" y2=\"{bottom}\"/>"));
    put(format!(
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        f64::midpoint(left, right),
        HEIGHT - 4.0,
        escape(&x.axis.label)
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_enclose_the_values() {
        for (low, high, expected) in [
            (0.0, 10.0, vec![0.0, 2.0, 4.0, 6.0, 8.0, 10.0]),
            (0.0, 61.0, vec![0.0, 20.0, 40.0, 60.0, 80.0]),
            (0.0, 0.7, vec![0.0, 0.2, 0.4, 0.6, 0.8]),
        ] {
            let ticks = linear_ticks(low, high);
            assert!(ticks.iter().zip(&expected).all(|(one, other)| (one - other).abs() < 1e-9), "{high}: {ticks:?}");
            assert_eq!(ticks.len(), expected.len());
        }
        assert_eq!(logarithmic_ticks(30.0, 1e6).first(), Some(&10.0));
        assert_eq!(logarithmic_ticks(30.0, 1e6).last(), Some(&1e6));
        assert_eq!(logarithmic_ticks(30.0, 90.0), [20.0, 50.0, 100.0]);
    }

    #[test]
    fn odd_values_do_no_harm() {
        let axis = |scale| Axis {
            label: "<x>".into(),
            scale,
            show: |value| value.to_string(),
            ticks: Vec::new(),
            from_zero: scale == Scale::Linear,
        };
        for points in
            [vec![], vec![(0.0, 0.0)], vec![(1.0, 5.0), (2.0, 5.0)], vec![(f64::NAN, f64::INFINITY), (1.0, 1.0)]]
        {
            let empty = points.is_empty();
            let series = vec![Series { name: "a & b".into(), points }];
            let (x, y) = (axis(Scale::Linear), axis(Scale::Logarithmic));
            let card = Chart { title: "t".into(), x, y, series, dots: true }.card();
            assert_eq!(card.is_empty(), empty);
            assert!(!card.contains("<x>") && !card.contains("a & b"), "text is escaped");
        }
    }
}
