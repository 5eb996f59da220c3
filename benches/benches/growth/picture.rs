//! The curves as a picture, plain SVG.

use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 60.0;
const COLOURS: [&str; 2] = ["#1f6f8b", "#c05621"];

/// Rates over sizes.
pub(crate) struct Curve {
    pub(crate) name: String,
    /// Documents in the store, documents a second.
    pub(crate) points: Vec<(f64, f64)>,
}

/// The x axis is logarithmic, the y axis begins at 0.
pub(crate) fn draw(title: &str, curves: &[Curve]) -> String {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let first = points().map(|point| point.0).fold(f64::INFINITY, f64::min).log10().floor();
    let last = points().map(|point| point.0).fold(1.0, f64::max).log10().max(first + 1.0);
    let top = step_above(points().map(|point| point.1).fold(1.0, f64::max));
    let x = |size: f64| LEFT + (size.log10() - first) / (last - first) * (WIDTH - LEFT - RIGHT);
    let y = |rate: f64| HEIGHT - BOTTOM - rate / top * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"15\">{title}</text>\n"
    );
    for part in 0..=4_u32 {
        let rate = top * f64::from(part) / 4.0;
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" y1=\"{0:.1}\" x2=\"{1}\" y2=\"{0:.1}\" stroke=\"#ddd\"/>\n\
             <text x=\"{2}\" y=\"{3:.1}\" text-anchor=\"end\">{rate:.0}</text>",
            y(rate),
            WIDTH - RIGHT,
            LEFT - 8.0,
            y(rate) + 4.0
        );
    }
    let mut power = first;
    while power <= last {
        let size = 10_f64.powf(power);
        let _ = writeln!(
            svg,
            "<line x1=\"{0:.1}\" y1=\"{TOP}\" x2=\"{0:.1}\" y2=\"{1}\" stroke=\"#eee\"/>\n\
             <text x=\"{0:.1}\" y=\"{2}\" text-anchor=\"middle\">{size:.0}</text>",
            x(size),
            HEIGHT - BOTTOM,
            HEIGHT - BOTTOM + 18.0
        );
        power += 1.0;
    }
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">documents in the store</text>\n\
         <text x=\"16\" y=\"{2:.1}\" transform=\"rotate(-90 16 {2:.1})\" text-anchor=\"middle\">documents a second</text>",
        f64::midpoint(LEFT, WIDTH - RIGHT),
        HEIGHT - 16.0,
        f64::midpoint(TOP, HEIGHT - BOTTOM)
    );
    for ((curve, colour), line) in curves.iter().zip(COLOURS.iter().cycle()).zip(0_u32..) {
        let path: Vec<String> =
            curve.points.iter().map(|(size, rate)| format!("{:.1},{:.1}", x(*size), y(*rate))).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.join(" ")
        );
        for (size, rate) in &curve.points {
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>",
                x(*size),
                y(*rate)
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" fill=\"{colour}\">{}</text>",
            LEFT + 8.0 + 330.0 * f64::from(line),
            TOP - 10.0,
            curve.name
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// A round number at or above.
fn step_above(figure: f64) -> f64 {
    let power = 10_f64.powf(figure.log10().floor());
    [1.0, 2.0, 4.0, 6.0, 8.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|step| *step >= figure)
        .unwrap_or(figure)
}
