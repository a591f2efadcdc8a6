//! GIF: the first frame on its canvas.

use crate::image::decode::fault::Fault;
use crate::image::decode::room::Room;
use crate::image::decode::samples::from_palette;
use crate::image::pixels::Image;

pub fn decode(bytes: &[u8], room: &mut Room) -> Result<Image, Fault> {
    let fault = |error: gif::DecodingError| match error {
        gif::DecodingError::Io(error) => error.into(),
        gif::DecodingError::UnexpectedEof => Fault::CutShort,
        other => Fault::Broken(other.to_string()),
    };
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::Indexed);
    options.set_memory_limit(gif::MemoryLimit::Unlimited);
    let mut decoder = options.read_info(bytes).map_err(fault)?;
    let nothing = || Fault::Broken("it has no frame".to_owned());
    let frame = decoder.next_frame_info().map_err(fault)?.ok_or_else(nothing)?;
    let [left, top, frame_width, frame_height] = [frame.left, frame.top, frame.width, frame.height].map(usize::from);
    // What the frame leaves of the canvas is transparent, if anything is.
    let background = frame.transparent.unwrap_or(0);
    let width = usize::from(decoder.width()).max(left + frame_width);
    let height = usize::from(decoder.height()).max(top + frame_height);
    // Canvas, frame and RGB.
    let mut canvas = vec![background; room.take(height as u64, width as u64, 1 + 1 + 3)?];
    if frame_width == 0 || frame_height == 0 {
        return Err(Fault::Broken("its frame has no pixels".to_owned()));
    }
    let mut drawn = vec![0; frame_width * frame_height];
    decoder.read_into_buffer(&mut drawn).map_err(fault)?;
    let rows = canvas.chunks_exact_mut(width).skip(top).zip(drawn.chunks_exact(frame_width));
    for (row, drawn) in rows {
        if let Some(place) = row.get_mut(left..left + frame_width) {
            place.copy_from_slice(drawn);
        }
    }
    let palette = decoder.palette().map_err(fault)?.as_chunks().0;
    let pixels = from_palette(&canvas, palette);
    Ok(Image { height: height as u32, width: width as u32, pixels })
}
