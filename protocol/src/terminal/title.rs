//! The window's title and icon name.

/// What OSC 0, 1 and 2 set, and XTPUSHTITLE's stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Titles {
    window: Title,
    icon: Title,
    /// Icon name and title.
    stack: Vec<(Title, Title)>,
}

/// `None`: the program never set it.
type Title = Option<Box<str>>;

/// Longer titles are cut.
const TITLE_LIMIT: usize = 1024;
/// As deep as xterm's; the oldest is forgotten beyond.
const STACK_LIMIT: usize = 10;

impl Titles {
    pub(super) fn window(&self) -> &str {
        self.window.as_deref().unwrap_or("")
    }

    pub(super) fn set_window(&mut self, title: &[u8]) {
        self.window = Some(clean(title));
    }

    pub(super) fn set_icon(&mut self, title: &[u8]) {
        self.icon = Some(clean(title));
    }

    /// `which`: 0 both, 1 icon, 2 window.
    pub(super) fn push(&mut self, which: u16) {
        if which > 2 {
            return;
        }
        if self.stack.len() >= STACK_LIMIT {
            self.stack.remove(0);
        }
        let icon = self.icon.clone().filter(|_| which != 2);
        let window = self.window.clone().filter(|_| which != 1);
        self.stack.push((icon, window));
    }

    pub(super) fn pop(&mut self, which: u16) {
        if which > 2 {
            return;
        }
        if let Some((icon, window)) = self.stack.pop() {
            if which != 2 && icon.is_some() {
                self.icon = icon;
            }
            if which != 1 && window.is_some() {
                self.window = window;
            }
        }
    }

    /// Adds what sets titles and stack. The terminal's own title, where the program set none,
    /// stays.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut icon_is_set = false;
        for (icon, window) in &self.stack {
            icon_is_set |= icon.is_some();
            write_titles(icon.as_deref(), window.as_deref(), out);
            let which = match (icon, window) {
                (Some(_), None) => 1,
                (None, Some(_)) => 2,
                (Some(_), Some(_)) => 0,
                // What is not set is put aside as nothing.
                (None, None) if icon_is_set => 2,
                (None, None) => 1,
            };
            out.extend_from_slice(format!("\x1b[22;{which}t").as_bytes());
        }
        write_titles(self.icon.as_deref(), self.window.as_deref(), out);
    }
    /// Adds what sets the window's title.
    pub(super) fn write_window(&self, out: &mut Vec<u8>) {
        write_titles(None, self.window.as_deref(), out);
    }
}

fn write_titles(icon: Option<&str>, window: Option<&str>, out: &mut Vec<u8>) {
    for (number, title) in [(1, icon), (2, window)] {
        if let Some(title) = title {
            out.extend_from_slice(format!("\x1b]{number};{title}\x1b\\").as_bytes());
        }
    }
}

/// Text without controls, cut to the limit.
fn clean(title: &[u8]) -> Box<str> {
    let text = String::from_utf8_lossy(&title[..title.len().min(2 * TITLE_LIMIT)]);
    let mut cleaned = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if cleaned.len() + c.len_utf8() > TITLE_LIMIT {
            break;
        }
        cleaned.push(c);
    }
    cleaned.into()
}
