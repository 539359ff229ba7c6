//! The plots as one picture, for places that show no HTML.

use super::{
    plots::{self, HEIGHT, WIDTH},
    report::AccuracyReport,
};
use resvg::{
    tiny_skia::{Pixmap, PixmapPaint, Transform},
    usvg::{Options, Tree, fontdb::Database},
};
use std::sync::Arc;

/// Pixels for each unit of the drawings.
const SCALE: u32 = 2;

/// The report's plots, one below the other, as PNG. The font is built in, so that the picture is the
/// same on every machine.
///
/// # Errors
/// What the drawing libraries say.
pub fn png(report: &AccuracyReport) -> Result<Vec<u8>, String> {
    let mut fonts = Database::new();
    fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
    let family = fonts.faces().next().and_then(|face| face.families.first().map(|f| f.0.clone()));
    fonts.set_sans_serif_family(family.unwrap_or_default());
    let options = Options { fontdb: Arc::new(fonts), ..Options::default() };
    let plots = plots::plots(report)?;
    let new = |count: u32| Pixmap::new(WIDTH * SCALE, HEIGHT * SCALE * count);
    let mut sheet = new(plots.len() as u32).ok_or("the picture has no pixels")?;
    for (number, plot) in plots.iter().enumerate() {
        let tree = Tree::from_str(&plot.svg, &options).map_err(|error| error.to_string())?;
        let mut picture = new(1).ok_or("the picture has no pixels")?;
        let scale = SCALE as f32;
        resvg::render(&tree, Transform::from_scale(scale, scale), &mut picture.as_mut());
        let top = (HEIGHT * SCALE) as i32 * number as i32;
        let (paint, still) = (PixmapPaint::default(), Transform::identity());
        sheet.draw_pixmap(0, top, picture.as_ref(), &paint, still, None);
    }
    sheet.encode_png().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_has_paper_ink_and_both_series() {
        let bytes = png(&super::super::report::tests::sample()).expect("drawn");
        let picture = Pixmap::decode_png(&bytes).expect("a PNG");
        assert_eq!((picture.width(), picture.height()), (WIDTH * SCALE, 3 * HEIGHT * SCALE));
        let count = |wanted: [u8; 3]| {
            let pixels = picture.pixels().iter();
            pixels.filter(|p| [p.red(), p.green(), p.blue()] == wanted && p.alpha() == 255).count()
        };
        assert!(count([0xff, 0xff, 0xff]) > 1_000_000);
        // The legend's squares are opaque; text is the only thing in the colour of ink.
        assert!(count([0x09, 0x69, 0xda]) > 3 * 300);
        assert!(count([0xbc, 0x4c, 0x00]) > 3 * 300);
        assert!(count([0x1f, 0x23, 0x28]) > 100);
    }
}
