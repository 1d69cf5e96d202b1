//! How listings of tasks treat their filters. The documentation is short about them, so a client must get along with more.

use serde::{Deserialize, Serialize};

use super::answer::Problem;
use super::store::Listing;

/// How listings of tasks treat `ObjectType`, `DomainName` and `Status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Filtering {
    /// As documented.
    #[default]
    Works,
    /// `InvalidObjectType.ValueNotSupported`, whatever the type.
    Refused,
    /// No row fits, whatever the filter.
    ShowsNothing,
    /// No row fits a domain: it stands in the service's books under another name.
    KnowsNoDomain,
    /// Every second task that fits is left out.
    HidesHalf,
    /// Every row fits, whatever the filter.
    Ignored,
}

impl Filtering {
    /// Changes what a listing asks for; with a task id it is no listing.
    pub(super) fn apply(self, listing: &mut Listing<'_>) -> Result<(), Problem> {
        if listing.object_type.is_none() {
            return Ok(());
        }
        match self {
            Self::Works => {}
            Self::Refused => {
                let message = "Specified ObjectType is not supported.";
                return Err(Problem::new(400, "InvalidObjectType.ValueNotSupported", message));
            }
            Self::ShowsNothing => listing.url = Some("no row has this URL"),
            Self::KnowsNoDomain => listing.domain = listing.domain.map(|_| "no row has this domain"),
            Self::HidesHalf => listing.hides_half = true,
            Self::Ignored => {
                (listing.object_type, listing.domain, listing.status) = (None, None, None);
            }
        }
        Ok(())
    }
}
