//! Resizes pictures to squares, cut from the centre, upright, in their own colours.

use std::io::Cursor;

use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, resize};
use image::metadata::Orientation;
use image::{
    DynamicImage, GenericImageView, ImageDecoder, ImageFormat, ImageReader, Limits, Pixel,
    Primitive, Rgba, Rgba32FImage, RgbaImage,
};

use crate::colors::Colors;

/// Maximum edge in pixels of a picture that is decoded.
const MAX_EDGE: u32 = 16_384;
/// Maximum number of pixels of a picture that is decoded: enough for the cameras of phones.
const MAX_PIXELS: u64 = 50_000_000;
/// Maximum memory in bytes for decoding, because a small file can decode to a large picture.
const MAX_MEMORY: u64 = 256 << 20;
/// Edge of a picture before resampling, as a multiple of the largest size; beyond that, averages are as good.
const OVERSAMPLING: u32 = 2;
/// JPEG quality, out of 100.
const JPEG_QUALITY: u8 = 85;

/// A picture in one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Square {
    /// Length of an edge.
    pub pixels: u32,
    pub media_type: &'static str,
    pub bytes: Bytes,
}

/// The bytes are not a picture, or one that is too large to decode.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoPicture(String);

impl From<image::ImageError> for NoPicture {
    fn from(error: image::ImageError) -> Self {
        Self(error.to_string())
    }
}

/// Returns a picture as squares of these sizes. This takes time, and the memory of the whole picture: do not call it on
/// an async thread, or for many pictures at once.
pub fn squares(bytes: &[u8], sizes: &[u32]) -> Result<Vec<Square>, NoPicture> {
    let decoded = Decoded::read(bytes)?;
    let has_alpha = decoded.picture.color().has_alpha();
    let largest = sizes.iter().copied().max().unwrap_or(1);
    let middle = middle(&decoded.picture, largest.saturating_mul(OVERSAMPLING));
    let Decoded {
        orientation,
        colors,
        ..
    } = decoded;
    let square = |pixels: &u32| {
        let mut pixels = straight(&resize(&middle, *pixels, *pixels, FilterType::Lanczos3));
        colors.convert(&mut pixels);
        let mut square = DynamicImage::from(pixels);
        square.apply_orientation(orientation);
        encode(&square, has_alpha)
    };
    sizes.iter().map(square).collect()
}

/// A decoded picture with its metadata.
struct Decoded {
    picture: DynamicImage,
    /// Orientation of the camera.
    orientation: Orientation,
    colors: Colors,
}

impl Decoded {
    fn read(bytes: &[u8]) -> Result<Self, NoPicture> {
        let mut reader = ImageReader::new(Cursor::new(bytes))
            .with_guessed_format()
            .map_err(|error| NoPicture(error.to_string()))?;
        let mut limits = Limits::default();
        limits.max_image_width = Some(MAX_EDGE);
        limits.max_image_height = Some(MAX_EDGE);
        limits.max_alloc = Some(MAX_MEMORY);
        reader.limits(limits);
        let mut decoder = reader.into_decoder()?;
        let (width, height) = decoder.dimensions();
        if u64::from(width) * u64::from(height) > MAX_PIXELS {
            let limit = MAX_PIXELS / 1_000_000;
            return Err(NoPicture(format!(
                "it has {width} times {height} pixels; the limit is {limit} million of them"
            )));
        }
        let orientation = decoder.orientation()?;
        let profile = decoder.icc_profile()?;
        Ok(Self {
            colors: Colors::of(bytes, profile),
            orientation,
            picture: DynamicImage::from_decoder(decoder)?,
        })
    }
}

/// Returns the square in the middle of a picture, with an edge of at most `most` pixels. Colours are multiplied by
/// their opacity, so that invisible pixels do not count.
fn middle(picture: &DynamicImage, most: u32) -> Rgba32FImage {
    match picture {
        DynamicImage::ImageLuma8(pixels) => averaged(pixels, most),
        DynamicImage::ImageLumaA8(pixels) => averaged(pixels, most),
        DynamicImage::ImageRgb8(pixels) => averaged(pixels, most),
        DynamicImage::ImageRgba8(pixels) => averaged(pixels, most),
        DynamicImage::ImageLuma16(pixels) => averaged(pixels, most),
        DynamicImage::ImageLumaA16(pixels) => averaged(pixels, most),
        DynamicImage::ImageRgb16(pixels) => averaged(pixels, most),
        DynamicImage::ImageRgba16(pixels) => averaged(pixels, most),
        DynamicImage::ImageRgb32F(pixels) => averaged(pixels, most),
        DynamicImage::ImageRgba32F(pixels) => averaged(pixels, most),
        other => averaged(&other.to_rgba8(), most),
    }
}

/// Averages the pixels that fall on each pixel of the square.
fn averaged<I>(picture: &I, most: u32) -> Rgba32FImage
where
    I: GenericImageView<Pixel: Pixel<Subpixel: Into<f32>>>,
{
    let (width, height) = picture.dimensions();
    let side = width.min(height);
    let (left, top) = ((width - side) / 2, (height - side) / 2);
    let edge = side.min(most);
    let part = |n: u32| {
        let place = u64::from(n) * u64::from(side) / u64::from(edge);
        u32::try_from(place).unwrap_or(side)
    };
    Rgba32FImage::from_fn(edge, edge, |x, y| {
        let mut sum = [0.0; 4];
        let mut count = 0.0;
        for y in part(y)..part(y + 1) {
            for x in part(x)..part(x + 1) {
                let pixel = premultiplied(picture.get_pixel(left + x, top + y));
                for (sum, channel) in sum.iter_mut().zip(pixel) {
                    *sum += channel;
                }
                count += 1.0;
            }
        }
        Rgba(sum.map(|channel: f32| channel / count))
    })
}

fn premultiplied<P: Pixel<Subpixel: Into<f32>>>(pixel: P) -> [f32; 4] {
    let most: f32 = P::Subpixel::DEFAULT_MAX_VALUE.into();
    let channel = |value: P::Subpixel| value.into() / most;
    let [red, green, blue, alpha] = pixel.to_rgba().0.map(channel);
    [red * alpha, green * alpha, blue * alpha, alpha]
}

/// Returns eight bits per channel, no longer multiplied by their opacity.
fn straight(pixels: &Rgba32FImage) -> RgbaImage {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is from 0 to 255"
    )]
    let eight_bits = |value: f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
    RgbaImage::from_fn(pixels.width(), pixels.height(), |x, y| {
        let Rgba([red, green, blue, alpha]) = *pixels.get_pixel(x, y);
        let color = |value: f32| match eight_bits(alpha) {
            0 => 0,
            _ => eight_bits(value / alpha),
        };
        Rgba([color(red), color(green), color(blue), eight_bits(alpha)])
    })
}

/// Encodes a picture as JPEG, or as PNG if it is transparent.
fn encode(picture: &DynamicImage, has_alpha: bool) -> Result<Square, NoPicture> {
    let mut bytes = Cursor::new(Vec::new());
    let media_type = if has_alpha {
        picture.write_to(&mut bytes, ImageFormat::Png)?;
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

    /// Returns a JPEG with an EXIF segment that names its orientation.
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
    fn a_picture_a_thousand_times_as_wide_as_high_is_cut_before_it_is_enlarged() {
        for (width, height) in [(10_000, 1), (1, 10_000), (1, 1)] {
            let line = RgbImage::from_pixel(width, height, BLUE);
            let squares = squares(&written(line, ImageFormat::Png), &[64, 256]).unwrap();
            assert!(is_near(*read(&squares[1]).get_pixel(255, 0), BLUE));
        }
    }

    #[test]
    fn colors_of_what_cannot_be_seen_do_not_show_at_its_edges() {
        let half = RgbaImage::from_fn(200, 200, |x, _| match x {
            0..101 => Rgba([255; 4]),
            _ => Rgba([0; 4]),
        });
        let squares = squares(&written(half, ImageFormat::Png), &[64]).unwrap();
        let found = image::load_from_memory(&squares[0].bytes)
            .unwrap()
            .to_rgba8();
        let edge: Vec<_> = found
            .pixels()
            .filter(|p| (8..247).contains(&p.0[3]))
            .collect();
        assert!(!edge.is_empty());
        assert!(edge.iter().all(|p| p.0[..3] == [255; 3]), "{edge:?}");
    }

    #[test]
    fn sixteen_bits_of_grey_are_as_bright_in_eight() {
        let grey = image::ImageBuffer::from_pixel(30, 30, image::Luma([0x8080_u16]));
        let grey = DynamicImage::ImageLuma16(grey);
        let squares = squares(&written(grey, ImageFormat::Png), &[64]).unwrap();
        assert!(is_near(*read(&squares[0]).get_pixel(9, 9), Rgb([0x80; 3])));
    }

    #[test]
    fn a_picture_of_more_pixels_than_any_camera_has_is_not_decoded() {
        // The header of a picture of 10,000 times 10,000 pixels, without any pixel.
        let mut head = written(RgbImage::new(1, 1), ImageFormat::Png);
        head[16..24].copy_from_slice(&[0, 0, 0x27, 0x10, 0, 0, 0x27, 0x10]);
        let crc = crc32(&head[12..29]).to_be_bytes();
        head[29..33].copy_from_slice(&crc);
        let error = squares(&head, &[64]).unwrap_err().to_string();
        assert!(error.contains("50 million"), "{error}");
    }

    /// Computes the checksum of a PNG chunk.
    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
            })
        })
    }

    #[test]
    fn a_picture_that_would_unfold_without_end_is_not_looked_at() {
        // 20,000 pixels wide and compressed to a small file.
        let wide = written(image::GrayImage::new(20_000, 10), ImageFormat::Png);
        assert!(wide.len() < 10_000);
        let error = squares(&wide, &[64]).unwrap_err().to_string();
        assert!(error.to_lowercase().contains("limit"), "{error}");
    }
}
