//! Pictures in other sizes: squares, cut to their centre, upright.

use std::io::Cursor;

use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

/// Pixels of an edge of a picture that is looked at.
const MAX_EDGE: u32 = 8_192;
/// Bytes that decoding may take: a small file can unfold into a large picture.
const MAX_MEMORY: u64 = 256 << 20;
/// Of 100.
const JPEG_QUALITY: u8 = 85;

/// A picture in one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Square {
    /// Of an edge.
    pub pixels: u32,
    pub media_type: &'static str,
    pub bytes: Bytes,
}

/// It is no picture, or none that is looked at.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoPicture(String);

impl From<image::ImageError> for NoPicture {
    fn from(error: image::ImageError) -> Self {
        Self(error.to_string())
    }
}

/// A picture as squares of these sizes. Takes its time: not to be called where others wait.
pub fn squares(bytes: &[u8], sizes: &[u32]) -> Result<Vec<Square>, NoPicture> {
    let picture = decode(bytes)?;
    sizes
        .iter()
        .map(|&pixels| encode(&picture.resize_to_fill(pixels, pixels, FilterType::Lanczos3)))
        .collect()
}

/// The picture upright, as its camera held it.
fn decode(bytes: &[u8]) -> Result<DynamicImage, NoPicture> {
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| NoPicture(error.to_string()))?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_EDGE);
    limits.max_image_height = Some(MAX_EDGE);
    limits.max_alloc = Some(MAX_MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// JPEG, or PNG where something shines through.
fn encode(picture: &DynamicImage) -> Result<Square, NoPicture> {
    let mut bytes = Cursor::new(Vec::new());
    let media_type = if picture.color().has_alpha() {
        DynamicImage::from(picture.to_rgba8()).write_to(&mut bytes, ImageFormat::Png)?;
        "image/png"
    } else {
        let opaque = DynamicImage::from(picture.to_rgb8());
        opaque.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY))?;
        "image/jpeg"
    };
    Ok(Square {
        pixels: picture.width(),
        media_type,
        bytes: bytes.into_inner().into(),
    })
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage, Rgba, RgbaImage};

    use super::*;

    const RED: Rgb<u8> = Rgb([255, 0, 0]);
    const BLUE: Rgb<u8> = Rgb([0, 0, 255]);

    fn written(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.into().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn read(square: &Square) -> RgbImage {
        image::load_from_memory(&square.bytes).unwrap().to_rgb8()
    }

    fn is_near(found: Rgb<u8>, wanted: Rgb<u8>) -> bool {
        let near = |(a, b): (&u8, &u8)| a.abs_diff(*b) < 40;
        found.0.iter().zip(&wanted.0).all(near)
    }

    #[test]
    fn every_size_is_a_square_of_the_middle() {
        // Blue in the middle third, red left and right of it.
        let wide = RgbImage::from_fn(
            90,
            30,
            |x, _| {
                if (30..60).contains(&x) { BLUE } else { RED }
            },
        );
        for format in [
            ImageFormat::Png,
            ImageFormat::Jpeg,
            ImageFormat::Gif,
            ImageFormat::WebP,
        ] {
            let squares = squares(&written(wide.clone(), format), &[64, 128, 256]).unwrap();
            let sizes: Vec<u32> = squares.iter().map(|square| square.pixels).collect();
            assert_eq!(sizes, [64, 128, 256]);
            for square in &squares {
                let picture = read(square);
                assert_eq!(picture.dimensions(), (square.pixels, square.pixels));
                let middle = square.pixels / 2;
                for (x, y) in [(8, 8), (middle, middle), (square.pixels - 9, middle)] {
                    let found = *picture.get_pixel(x, y);
                    assert!(is_near(found, BLUE), "{format:?}: {found:?} at {x}, {y}");
                }
            }
        }
    }

    #[test]
    fn what_shines_through_goes_on_doing_so() {
        let glass = RgbaImage::from_pixel(10, 10, Rgba([0, 0, 0, 0]));
        let squares = squares(&written(glass, ImageFormat::Png), &[64]).unwrap();
        assert_eq!(squares[0].media_type, "image/png");
        let found = image::load_from_memory(&squares[0].bytes).unwrap();
        assert_eq!(found.to_rgba8().get_pixel(5, 5).0[3], 0);
    }

    /// A JPEG with an EXIF segment that says how its camera was held.
    fn held(orientation: u8) -> Vec<u8> {
        // Red above, blue below.
        let picture = RgbImage::from_fn(32, 32, |_, y| if y < 16 { RED } else { BLUE });
        let jpeg = written(picture, ImageFormat::Jpeg);
        let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
        exif.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
        let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
        let segment = [&[0xff, 0xe1], length.as_slice(), &exif].concat();
        [&jpeg[..2], &segment, &jpeg[2..]].concat()
    }

    #[test]
    fn a_picture_stands_as_its_camera_was_held() {
        for (orientation, top, left) in [(1, RED, None), (3, BLUE, None), (6, RED, Some(BLUE))] {
            let squares = squares(&held(orientation), &[64]).unwrap();
            let picture = read(&squares[0]);
            match left {
                None => assert!(is_near(*picture.get_pixel(32, 4), top), "{orientation}"),
                Some(left) => assert!(is_near(*picture.get_pixel(4, 32), left), "{orientation}"),
            }
        }
    }

    #[test]
    fn what_is_no_picture_is_said_to_be_none() {
        for bytes in [&b""[..], b"tea", b"\x89PNG\r\n\x1a\n", b"<svg/>"] {
            assert!(squares(bytes, &[64]).is_err());
        }
        let whole = written(RgbImage::new(64, 64), ImageFormat::Png);
        assert!(squares(&whole[..whole.len() / 2], &[64]).is_err());
    }

    #[test]
    fn a_picture_that_would_unfold_without_end_is_not_looked_at() {
        // 20,000 pixels wide and one byte of each row: small as a file.
        let wide = written(image::GrayImage::new(20_000, 10), ImageFormat::Png);
        assert!(wide.len() < 10_000);
        let error = squares(&wide, &[64]).unwrap_err().to_string();
        assert!(error.to_lowercase().contains("limit"), "{error}");
    }
}
