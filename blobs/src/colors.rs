//! Colours of pictures: converts them from the picture's profile or gamma to sRGB.

use std::io::Cursor;

use image::RgbaImage;
use image::codecs::png::PngDecoder;
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

/// Maximum size in bytes of a profile that is read.
const MAX_PROFILE: usize = 1 << 20;
/// Gamma of a picture that names none.
const USUAL_GAMMA: f64 = 0.454_55;
/// Maximum difference from the usual gamma that needs no conversion.
const NEARLY: f64 = 0.005;
const CHANNELS: usize = 4;

/// The conversion of colours to sRGB, which is the default of a picture.
pub enum Colors {
    AsTheyAre,
    Profile(Box<ColorProfile>),
    /// The power that light was encoded with.
    Gamma(f64),
}

impl Colors {
    /// Reads the conversion from a picture's profile, or from the gamma of a PNG.
    pub fn of(picture: &[u8], profile: Option<Vec<u8>>) -> Self {
        if let Some(profile) = profile.filter(|profile| profile.len() <= MAX_PROFILE) {
            let parsed = ColorProfile::new_from_slice(&profile);
            // CMYK was converted to RGB during decoding.
            let is_known = |profile: &ColorProfile| {
                matches!(
                    profile.color_space,
                    DataColorSpace::Rgb | DataColorSpace::Gray
                )
            };
            return match parsed {
                Ok(profile) if is_known(&profile) => Self::Profile(Box::new(profile)),
                Ok(_) | Err(_) => Self::AsTheyAre,
            };
        }
        let png = PngDecoder::new(Cursor::new(picture)).ok();
        match png.and_then(|png| png.gamma_value().ok().flatten()) {
            Some(gamma) if gamma > 0.0 && (gamma - USUAL_GAMMA).abs() > NEARLY => {
                Self::Gamma(gamma)
            }
            Some(_) | None => Self::AsTheyAre,
        }
    }

    /// Converts pixels; leaves them unchanged if the profile is unusable.
    pub fn convert(&self, pixels: &mut RgbaImage) {
        match self {
            Self::AsTheyAre => {}
            Self::Gamma(gamma) => {
                let power = USUAL_GAMMA / gamma;
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "it is from 0 to 255"
                )]
                let convert =
                    |value: u8| ((f64::from(value) / 255.0).powf(power) * 255.0).round() as u8;
                for pixel in pixels.pixels_mut() {
                    for channel in &mut pixel.0[..3] {
                        *channel = convert(*channel);
                    }
                }
            }
            Self::Profile(profile) => convert_by(profile, pixels),
        }
    }
}

fn convert_by(profile: &ColorProfile, pixels: &mut RgbaImage) {
    let (layout, source) = if profile.color_space == DataColorSpace::Gray {
        let grey = pixels.pixels().flat_map(|pixel| [pixel.0[0], pixel.0[3]]);
        (Layout::GrayAlpha, grey.collect())
    } else {
        (Layout::Rgba, pixels.as_raw().clone())
    };
    let srgb = ColorProfile::new_srgb();
    let transform =
        profile.create_transform_8bit(layout, &srgb, Layout::Rgba, TransformOptions::default());
    let mut converted = vec![0; pixels.len()];
    if let Ok(transform) = transform
        && transform.transform(&source, &mut converted).is_ok()
    {
        for (pixel, converted) in pixels.pixels_mut().zip(converted.chunks_exact(CHANNELS)) {
            pixel.0.copy_from_slice(converted);
        }
    }
}

#[cfg(test)]
mod tests {
    use image::codecs::png::PngEncoder;
    use image::{ExtendedColorType, ImageEncoder, Rgba};

    use super::*;

    const COLOR: [u8; 4] = [200, 80, 80, 255];

    fn converted(colors: &Colors) -> [u8; 4] {
        let mut pixels = RgbaImage::from_pixel(4, 4, Rgba(COLOR));
        colors.convert(&mut pixels);
        pixels.get_pixel(2, 2).0
    }

    /// Writes a PNG with a profile, and reads its colours back.
    fn with_profile(profile: &ColorProfile) -> Colors {
        let mut bytes = vec![];
        let mut encoder = PngEncoder::new(&mut bytes);
        encoder.set_icc_profile(profile.encode().unwrap()).unwrap();
        encoder
            .write_image(&COLOR, 1, 1, ExtendedColorType::Rgba8)
            .unwrap();
        let mut decoder = PngDecoder::new(Cursor::new(&bytes)).unwrap();
        let profile = image::ImageDecoder::icc_profile(&mut decoder).unwrap();
        Colors::of(&bytes, profile)
    }

    #[test]
    fn a_picture_that_says_nothing_stays_as_it_is() {
        assert_eq!(converted(&Colors::of(b"", None)), COLOR);
        assert_eq!(
            converted(&Colors::of(b"", Some(b"no profile".to_vec()))),
            COLOR
        );
    }

    #[test]
    fn the_red_of_a_wide_gamut_is_redder_in_a_narrow_one() {
        let [red, green, _, alpha] = converted(&with_profile(&ColorProfile::new_display_p3()));
        assert!(red > COLOR[0] + 5 && green < COLOR[1], "{red} {green}");
        assert_eq!(alpha, 255);
        let same = converted(&with_profile(&ColorProfile::new_srgb()));
        assert!(
            same.iter().zip(COLOR).all(|(a, b)| a.abs_diff(b) < 2),
            "{same:?}"
        );
    }

    #[test]
    fn a_profile_of_greys_converts_greys() {
        let colors = with_profile(&ColorProfile::new_gray_with_gamma(1.0));
        let mut pixels = RgbaImage::from_pixel(1, 1, Rgba([128, 128, 128, 7]));
        colors.convert(&mut pixels);
        let [red, green, blue, alpha] = pixels.get_pixel(0, 0).0;
        assert!(
            (180..196).contains(&red) && red == green && green == blue,
            "{red}"
        );
        assert_eq!(alpha, 7);
    }

    #[test]
    fn light_that_was_encoded_linearly_is_encoded_as_usual() {
        let [red, ..] = converted(&Colors::Gamma(1.0));
        assert_eq!(red, 228);
    }
}
