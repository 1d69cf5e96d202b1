//! The faults that are tried: each kind, and more than one where its details decide what is done about it.

use std::time::Duration;

use vod_refresh::emulator::{Fault, Shape};

pub(crate) fn faults() -> Vec<(String, Fault)> {
    let error = |status, code: &str| (format!("error {status} {code}"), Fault::error(status, code));
    let wrong_shape = |name, shape| (format!("wrong shape, {name}"), Fault::WrongShape { shape });
    let (code, message) = ("InternalError".to_owned(), "out of order".to_owned());
    let plain = [
        Fault::throttle(),
        Fault::XmlError { status: 500, code, message },
        Fault::Empty { status: 503 },
        Fault::Html { status: 502 },
        Fault::redirect(),
        Fault::ResetBefore,
        Fault::ResetAfter,
        Fault::Garbage,
        Fault::EmptyObject,
        Fault::Bom,
        Fault::HalfBody,
        Fault::LowerCaseKeys,
        Fault::WrongTaskRows,
        Fault::TotalAsString,
        Fault::NoTotal,
    ];
    let mut rows: Vec<(String, Fault)> =
        plain.into_iter().map(|fault| (fault.name().to_owned(), fault)).collect();
    rows.extend([
        ("html 403".to_owned(), Fault::Html { status: 403 }),
        wrong_shape("text", Shape::Text),
        wrong_shape("lone row", Shape::LoneRow),
        wrong_shape("object", Shape::Object),
        wrong_shape("empty rows", Shape::EmptyRows),
        error(500, "InternalError"),
        error(400, "InvalidParameter"),
        error(400, "SomethingNew"),
        error(403, "Forbidden.RAM"),
        error(400, "QuotaExceeded.Refresh"),
        error(404, "InvalidTaskId.NotFound"),
        error(400, "InvalidSecurityToken.Expired"),
        ("stall, not done".to_owned(), Fault::Stall { done: false }),
        ("stall, done".to_owned(), Fault::Stall { done: true }),
        ("delay 5s".to_owned(), Fault::Delay { by: Duration::from_secs(5) }),
        ("delay 90s".to_owned(), Fault::Delay { by: Duration::from_secs(90) }),
    ]);
    rows
}
