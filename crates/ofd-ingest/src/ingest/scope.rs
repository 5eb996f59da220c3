//! Which document is in hand, for the log.
//!
//! Nearly every document passes without a line, and a span costs more than the checks of a small receipt. So the span is
//! made when a line is written, by [`telling`]; only where the filter lets each document be told ([`Level::DEBUG`])
//! everything between [`in_hand`] and its end happens in a span of its own.

use std::cell::Cell;
use std::marker::PhantomData;

use ffd::check::Claimed;
use tracing::span::EnteredSpan;
use tracing::{Level, Span, enabled, error_span};

thread_local! {
    static IN_HAND: Cell<Option<Claimed>> = const { Cell::new(None) };
}

/// The document is in hand as long as this lives. Stays on its thread.
#[must_use]
pub(super) struct InHand {
    before: Option<Claimed>,
    _span: Option<EnteredSpan>,
    _stays: PhantomData<*const ()>,
}

/// Takes a document in hand: what is told until the end of the returned value bears its numbers.
pub(super) fn in_hand(claimed: &Claimed) -> InHand {
    let is_told = enabled!(Level::DEBUG);
    let before = IN_HAND.replace((!is_told).then_some(*claimed));
    InHand { before, _span: is_told.then(|| span(claimed).entered()), _stays: PhantomData }
}

impl Drop for InHand {
    fn drop(&mut self) {
        IN_HAND.set(self.before);
    }
}

/// Runs `tell`, which writes a line, in the span of the document in hand.
pub(super) fn telling(tell: impl FnOnce()) {
    match IN_HAND.get() {
        Some(claimed) => span(&claimed).in_scope(tell),
        None => tell(),
    }
}

/// Level error, so that refusals keep their ФН and ФД whatever the filter of the log leaves out.
fn span(claimed: &Claimed) -> Span {
    let Claimed { fn_number, fd_number, form } = claimed;
    error_span!("document", fn_number = fn_number.as_str(), fd_number = fd_number.get(), kind = form.0)
}

#[cfg(test)]
mod tests {
    use ffd::{FdNumber, FnNumber, FormCode};

    use super::*;

    #[test]
    fn the_document_in_hand_is_the_innermost_and_the_outer_one_comes_back() {
        let claimed = |fd| Claimed {
            fn_number: FnNumber::from_padded(b"9999078900000017").unwrap(),
            fd_number: FdNumber::new(fd).unwrap(),
            form: FormCode::RECEIPT,
        };
        let now = || IN_HAND.get().map(|claimed| claimed.fd_number.get());
        assert_eq!(now(), None);
        let outer = in_hand(&claimed(1));
        assert_eq!(now(), Some(1));
        {
            let _inner = in_hand(&claimed(2));
            assert_eq!(now(), Some(2));
        }
        assert_eq!(now(), Some(1));
        drop(outer);
        assert_eq!(now(), None);
    }
}
