//! Pages to read: how the service works, and how this crate is made.
//!
//! [`service`] tells what happens to a media id at the vendor's side, and what surprises there; [`design`] tells how a
//! run is driven, and why it is built as it is; [`library`] has the first steps with the library,
//! the examples, and credentials, clocks and transports of your own.

#[doc = include_str!("docs/service.md")]
pub mod service {}

#[doc = include_str!("docs/design.md")]
pub mod design {}

#[doc = include_str!("docs/library.md")]
pub mod library {}

#[cfg(test)]
mod tests {
    use crate::run::MAX_EXTEND_BYTES;
    use crate::run::ledger::GRACE;
    use crate::vod::MAX_MEDIA_PER_CALL;

    #[test]
    fn the_figures_on_the_page_are_those_of_the_code() {
        let page = include_str!("docs/service.md");
        let says = |text: &str| assert!(page.contains(text), "the page does not say {text:?}");
        says(&format!("| media a call | {MAX_MEDIA_PER_CALL} |"));
        says(&format!("handed back in events | {MAX_EXTEND_BYTES} bytes |"));
        assert_eq!(GRACE.as_secs(), 600);
        says("\"not yet\" for ten minutes");
    }
}
