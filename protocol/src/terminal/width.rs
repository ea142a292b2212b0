//! How many columns a character takes.
//!
//! By default each character counts alone and joiners and marks take none, as xterm, VTE,
//! Alacritty and tmux do it. While mode 2027 is on a grapheme cluster is measured as a whole.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns of a printable character: 0 when it combines with the one before.
#[inline]
pub(super) fn width(c: char) -> u8 {
    match c {
        // Latin, Greek, Cyrillic.
        '\u{20}'..='\u{7e}' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{2ff}' => 1,
        '\u{300}'..='\u{36f}' => 0,
        // Box drawing and blocks.
        '\u{2500}'..='\u{259f}' => 1,
        // Punctuation, kana, ideographs, Hangul syllables, full width forms.
        '\u{3001}'..='\u{3029}' | '\u{3041}'..='\u{3096}' | '\u{30a0}'..='\u{30ff}' => 2,
        '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{ff01}'..='\u{ff60}' => 2,
        c => looked_up(c),
    }
}

fn looked_up(c: char) -> u8 {
    c.width().map_or(0, |columns| columns.min(2) as u8)
}

/// How many columns a terminal takes to show text without control characters.
#[must_use]
pub fn columns_of(text: &str) -> usize {
    // Looked at many bytes at a time.
    if text.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
        return text.len();
    }
    text.chars().map(|c| usize::from(width(c))).sum()
}

/// As much of the beginning of `text` as takes at most so many columns.
#[must_use]
pub fn clipped(text: &str, columns: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += usize::from(width(*c));
        used > columns
    });
    end.map_or(text, |(end, _)| &text[..end])
}

/// Columns of a cluster, 1 or 2.
pub(super) fn cluster_width(text: &str) -> u8 {
    text.width().clamp(1, 2) as u8
}

/// Whether the text is one grapheme cluster.
pub(super) fn is_one_grapheme(text: &str) -> bool {
    text.graphemes(true).nth(1).is_none()
}

/// Whether terminals may disagree about the columns of `c`, so that after it the cursor is put
/// where it belongs.
pub(super) fn is_doubtful(c: char) -> bool {
    width(c) == 0
        || matches!(c, '\u{1f000}'..='\u{1faff}' | '\u{2300}'..='\u{23ff}' | '\u{2600}'..='\u{27bf}' | '\u{2b00}'..='\u{2bff}' | '\u{e000}'..='\u{f8ff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_clipped_to_columns() {
        let text = "a漢e\u{301}字";
        let clips = [
            "",
            "a",
            "a",
            "a漢",
            "a漢e\u{301}",
            "a漢e\u{301}",
            text,
            text,
        ];
        for (columns, clip) in clips.into_iter().enumerate() {
            assert_eq!(clipped(text, columns), clip, "{columns}");
        }
        assert_eq!(columns_of(text), 6);
    }

    #[test]
    fn the_quick_ranges_agree_with_the_library() {
        for c in (0x20..0x11_0000).filter_map(char::from_u32) {
            assert_eq!(width(c), looked_up(c), "{:x}", c as u32);
        }
    }
}
