//! Foreign text in HTML and XML: media ids, URLs and error texts come from outside and may hold markup.
//!
//! One rule serves both formats, in text and in quoted attributes. What neither can carry becomes U+FFFD: control
//! characters, which XML 1.0 forbids even as references, and marks that turn the direction of writing, which could
//! make a URL look like another one.

use crate::formatting::{shorten, turns_direction};

/// Returns the text, safe between tags and inside quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // The formats disagree on what a lone carriage return is; of CR LF the LF is enough.
            '\r' => out.push(' '),
            '\n' | '\t' => out.push(c),
            c if is_barred(c) => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}

/// Returns at most `limit` characters of the text, escaped. For texts that only explain: the JSON report has them in full.
pub(super) fn escape_start(text: &str, limit: usize) -> String {
    escape(&shorten(text, limit))
}

fn is_barred(c: char) -> bool {
    let noncharacter = u32::from(c) & 0xfffe == 0xfffe || matches!(c, '\u{fdd0}'..='\u{fdef}');
    c.is_control() || noncharacter || turns_direction(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quick_xml::Reader;
    use quick_xml::escape::unescape;
    use quick_xml::events::Event;

    use super::*;

    #[test]
    fn markup_becomes_text() {
        let cases = [
            ("<script>alert('x')</script>", "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"),
            ("a=1&b=\"2\"", "a=1&amp;b=&quot;2&quot;"),
            ("]]>", "]]&gt;"),
            ("片头 é 🎬", "片头 é 🎬"),
            ("one\r\ntwo\tthree", "one \ntwo\tthree"),
        ];
        for (text, expected) in cases {
            assert_eq!(escape(text), expected);
        }
    }

    #[test]
    fn what_xml_forbids_is_replaced() {
        for c in ['\0', '\u{1b}', '\u{7f}', '\u{85}', '\u{fffe}', '\u{1ffff}', '\u{202e}', '\u{2066}'] {
            assert_eq!(escape(&c.to_string()), "\u{fffd}", "{c:?}");
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(escape_start("<头片尾", 2), "&lt;头…");
        assert_eq!(escape_start("片头", 2), "片头");
    }

    /// What a parser should give back.
    fn expected(text: &str) -> String {
        let shown = |c| match c {
            '\r' => ' ',
            '\n' | '\t' => c,
            c if is_barred(c) => char::REPLACEMENT_CHARACTER,
            c => c,
        };
        text.chars().map(shown).collect()
    }

    proptest! {
            #[test]
            fn a_parser_gives_any_text_back_and_sees_nothing_else(
                text in r#"([<>&"'/=;!\[\]#a-z\r\n]|]]>|<!--|-->|&#0;|\PC|\p{Cc}|\p{Cf}){0,40}"#
            ) {
                let xml = format!("<a>{}<b c=\"{}\"/></a>", escape(&text), escape(&text));
                let mut reader = Reader::from_str(&xml);
                let (mut names, mut read, mut attribute) = (Vec::new(), String::new(), String::new());
                loop {
                    match reader.read_event().unwrap() {
                        Event::Eof => break,
                        Event::Start(tag) => names.push(format!("{:?}", tag.name())),
                        Event::Empty(tag) => {
                            names.push(format!("{:?}", tag.name()));
                            let attributes: Vec<_> = tag.attributes().map(|a| a.unwrap()).collect();
                            prop_assert_eq!(attributes.len(), 1);
                            attribute = unescape(&attributes[0].value).unwrap().into_owned();
                        }
                        Event::Text(part) => read.push_str(&part),
                        Event::GeneralRef(name) => {
    read.push_str(&unescape(&format!("&{};", &*name)).unwrap());
                        }
                        Event::End(_) => {}
                        other => prop_assert!(false, "{other:?}"),
                    }
                }
                prop_assert_eq!(names.len(), 2);
                prop_assert_eq!(read, expected(&text));
                prop_assert_eq!(attribute, expected(&text));
            }
        }
}
