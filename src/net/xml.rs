//! Reads small XML answers into a tree, whatever they hold.
//!
//! Namespaces are dropped: the vendor's own SDKs do not agree on them. Nothing outside the text is ever fetched, entities
//! that a document defines for itself are not replaced, and depth and size are bounded.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};

/// Sixteen messages of 64 KB, every byte of them escaped, stay under this.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// The answers we know are four deep.
const MAX_DEPTH: usize = 16;

/// One element: its local name, the text directly in it, its children.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

impl Element {
    /// The children of this name, in order.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child of this name, without blanks around it; `None` where there is none or nothing in it.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.children.iter().find(|child| child.name == name).map(|c| c.text.trim()).filter(|t| !t.is_empty())
    }

    /// The first child of this name as a number.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.field(name)?.parse().ok()
    }
}

/// The root element; `None` for what is not one whole XML document.
pub(crate) fn read(body: &[u8]) -> Option<Element> {
    if body.len() > MAX_BYTES {
        return None;
    }
    let mut reader = Reader::from_str(std::str::from_utf8(body).ok()?.trim_start_matches('\u{feff}'));
    let mut root = None;
    let mut open: Vec<Element> = Vec::new();
    loop {
        let closed = match reader.read_event().ok()? {
            Event::Start(start) => {
                if open.len() >= MAX_DEPTH || root.is_some() {
                    return None;
                }
                open.push(named(start.local_name().as_ref()));
                continue;
            }
            Event::Empty(empty) => named(empty.local_name().as_ref()),
            Event::End(_) => open.pop()?,
            Event::Text(text) => {
                push(&mut open, &text);
                continue;
            }
            Event::CData(text) => {
                push(&mut open, &text);
                continue;
            }
            Event::GeneralRef(entity) => {
                push(&mut open, resolved(&entity).encode_utf8(&mut [0; 4]));
                continue;
            }
            Event::Eof => return root.filter(|_| open.is_empty()),
            _ => continue,
        };
        match open.last_mut() {
            Some(parent) => parent.children.push(closed),
            None if root.is_none() => root = Some(closed),
            None => return None,
        }
    }
}

fn named(name: &str) -> Element {
    Element { name: name.to_owned(), ..Element::default() }
}

fn push(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

/// What an entity stands for: the five of XML and numbers; all others are a replacement character.
fn resolved(entity: &BytesRef<'_>) -> char {
    match &**entity {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => entity.resolve_char_ref().ok().flatten().unwrap_or('\u{fffd}'),
    }
}

/// `text` as it may stand in an element.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_comes_out_without_namespaces_and_with_entities_resolved() {
        let root = read(
            br#"<?xml version="1.0"?><n:Messages xmlns:n="http://mns.aliyuncs.com/doc/v1/"><n:Message>
            <Body>{&quot;a&quot;:&#34;1 &amp; 2&#x22;}</Body><Raw><![CDATA[<x>&amp;]]></Raw><Nothing/></n:Message></n:Messages>"#,
        )
        .unwrap();
        assert_eq!(root.name, "Messages");
        let message = root.all("Message").next().unwrap();
        assert_eq!(message.field("Body"), Some(r#"{"a":"1 & 2"}"#));
        assert_eq!(message.field("Raw"), Some("<x>&amp;"));
        assert_eq!((message.field("Nothing"), message.field("Absent")), (None, None));
    }

    #[test]
    fn what_is_no_whole_document_is_nothing() {
        let deep = "<a>".repeat(100_000);
        for text in ["", "text", "<a>", "<a></b>", "<a/><b/>", "{}", "<a", "</a>", &deep, "<html><br></html>"]
        {
            assert_eq!(read(text.as_bytes()), None, "{}", &text[..text.len().min(20)]);
        }
        assert_eq!(read(b"<a>\xff</a>"), None);
    }

    #[test]
    fn a_documents_own_entities_are_not_believed() {
        let bomb =
            br#"<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY f SYSTEM "file:///etc/passwd">]><a>&b;&f;</a>"#;
        assert_eq!(read(bomb).unwrap().text, "\u{fffd}\u{fffd}");
    }

    #[test]
    fn escaped_text_comes_back() {
        let text = "<&>\"' \u{4e2d}";
        assert_eq!(read(format!("<a>{}</a>", escaped(text)).as_bytes()).unwrap().text, text);
    }
}
