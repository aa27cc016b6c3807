//! A request to the firmware.
//!
//! On the wire: [`FRAME_START`], the length of the body as one byte, the body
//! (postcard), then [`Request::prompt_bytes`] bytes of prompt as they are. The
//! firmware reads the prompt as it arrives, so it may be of any length.

use serde::{Deserialize, Serialize};

/// The byte that begins a request where the console expects a line.
pub const FRAME_START: u8 = 0x01;

/// No body is longer than this.
pub const BODY_MAX: usize = 96;

/// The longest name of a state, in bytes.
const NAME_BYTES: usize = 24;

/// The name of a state of the image; zeros fill what is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name([u8; NAME_BYTES]);

impl Name {
    /// `None` if the name is too long.
    pub fn new(name: &str) -> Option<Self> {
        let mut bytes = [0; NAME_BYTES];
        bytes
            .get_mut(..name.len())?
            .copy_from_slice(name.as_bytes());
        Some(Self(bytes))
    }

    /// The name; empty where the bytes are none.
    pub fn as_str(&self) -> &str {
        let bytes = self.0.split(|&byte| byte == 0).next();
        core::str::from_utf8(bytes.unwrap_or_default()).unwrap_or_default()
    }
}

/// A prompt to read and tokens to generate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Bytes of prompt after the frame. With none the text begins with
    /// the model's start token.
    pub prompt_bytes: u32,
    /// The state that the prompt starts from: a name in the image, or `empty`;
    /// none means `start` where the image has it, else `empty`.
    pub from: Name,
    /// Tokens to generate; with 0 the prompt is read and nothing more.
    pub tokens: u32,
    /// Compute and hash the logits at every position of the prompt, where
    /// otherwise the head of the model is skipped.
    pub every_logits: bool,
    /// Compute the logits in blocks, with no buffer for all of them.
    pub in_blocks: bool,
    /// Take every step in slices of at most this many weights; 0 for one piece.
    pub slice_weights: u32,
    /// Save the state after every token, clear it, and restore it from the
    /// snapshot.
    pub resumed: bool,
    /// As in `kinglet::Sampling`; 0 is greedy.
    pub temperature: f32,
    /// As in `kinglet::Sampling`; 0 is no limit.
    pub top_k: u32,
    /// As in `kinglet::Sampling`; 1 is no limit.
    pub top_p: f32,
    /// As in `kinglet::Sampling`; 1 is off.
    pub repetition_penalty: f32,
    /// The seed of the random draws.
    pub seed: u64,
}

impl Request {
    /// The frame, without the prompt that follows it.
    pub fn frame<'b>(&self, buffer: &'b mut [u8; BODY_MAX + 2]) -> Option<&'b [u8]> {
        let [start, length, body @ ..] = buffer;
        let bytes = postcard::to_slice(self, body).ok()?.len();
        *start = FRAME_START;
        *length = u8::try_from(bytes).ok()?;
        buffer.get(..bytes + 2)
    }

    /// Reads the body of a frame.
    pub fn from_body(body: &[u8]) -> Option<Self> {
        postcard::from_bytes(body).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: Request = Request {
        prompt_bytes: u32::MAX,
        from: Name([u8::MAX; NAME_BYTES]),
        tokens: u32::MAX,
        every_logits: true,
        in_blocks: true,
        slice_weights: u32::MAX,
        resumed: true,
        temperature: 0.8,
        top_k: u32::MAX,
        top_p: 0.9,
        repetition_penalty: 1.1,
        seed: u64::MAX,
    };

    #[test]
    fn the_longest_request_fits_and_comes_back() {
        let name = "four and twenty letters.";
        let request = Request {
            from: Name::new(name).unwrap(),
            ..REQUEST
        };
        assert_eq!(request.from.as_str(), name);
        assert_eq!(Name::new("four and twenty letters.."), None);
        assert_eq!(Name::default().as_str(), "");
        let mut buffer = [0; BODY_MAX + 2];
        let frame = request.frame(&mut buffer).unwrap();
        assert_eq!(frame[0], FRAME_START);
        assert_eq!(usize::from(frame[1]), frame.len() - 2);
        assert_eq!(Request::from_body(&frame[2..]), Some(request));
    }

    #[test]
    fn a_short_body_is_refused() {
        let mut buffer = [0; BODY_MAX + 2];
        let frame = REQUEST.frame(&mut buffer).unwrap();
        assert_eq!(Request::from_body(&frame[2..frame.len() - 1]), None);
        assert_eq!(Request::from_body(&[]), None);
    }
}
