//! Fields that must be there under a condition, as far as a machine can decide the condition and genuine receipts
//! satisfy it.
//!
//! The tables of the order say «conditional» of many more fields, with conditions such as «when the buyer is known»;
//! those are not judged. Fields that one source makes mandatory and another conditional are here too, and the tables
//! then demand nothing more of them: 1009 and 1187 of a receipt of 1.2, which an electronic receipt may leave to the
//! registration report (check 17), and 1079 and 1023 of items before 1.2. Conditions that are rules of their own (registration reports, corrections, VAT, measure of an
//! item) are not repeated here.

use crate::check::case::Case;
use crate::dict::FfdVersion::{self, V1_1, V1_2, V1_05};
use crate::document::{Node, Nodes};
use crate::tags;

/// When the exemption of some sole traders from naming their goods ended: 2021-02-01 00:00 of the till's clock.
const GOODS_NAMED_SINCE: u32 = 1_612_137_600;

/// Bit of «замена ФН» in tag 1205.
const FN_REPLACED: u64 = 1;

/// Method of settlement «аванс» (tag 1214).
const ADVANCE: u64 = 3;

/// A field and when it must be there.
pub(super) struct Condition {
    /// Forms it is about.
    pub(super) forms: &'static [u16],
    /// Versions it is about.
    pub(super) versions: &'static [FfdVersion],
    /// The group it is about; 0 is the top level.
    pub(super) parent: u16,
    /// The field.
    pub(super) demanded: u16,
    when: When,
    /// The condition, for people: «он обязателен, ...».
    pub(super) because_ru: &'static str,
}

/// A condition that the records of the group and the memory of the register decide.
#[derive(Clone, Copy)]
enum When {
    /// The report does not say that the register works without an operator.
    ReportOnline,
    /// The register was registered to work with an operator.
    RegisteredOnline,
    /// There are documents without an acknowledgement.
    SomethingUnsent,
    /// The change was not caused by a new ФН.
    FnKept,
    /// The settlement was made over the internet.
    Internet,
    /// The item is sold as an agent.
    SoldByAgent,
    /// Nothing in the document decides the condition, and the newer order demands the field.
    Always,
    /// The document is younger than the end of the exemption.
    GoodsNamed,
    /// The same, and the item is no advance.
    GoodsNamedNoAdvance,
}

const RECEIPTS: &[u16] = &[3, 31, 4, 41];
const SINCE_1_05: &[FfdVersion] = &[V1_05, V1_1, V1_2];
const SINCE_1_1: &[FfdVersion] = &[V1_1, V1_2];

#[rustfmt::skip]
pub(super) static CONDITIONS: [Condition; 15] = [
    Condition { forms: &[21], versions: SINCE_1_05, parent: 0, demanded: tags::UNSENT_COUNT, when: When::ReportOnline, because_ru: "если касса передаёт данные оператору" },
    Condition { forms: &[21], versions: SINCE_1_05, parent: 0, demanded: tags::FIRST_UNSENT, when: When::SomethingUnsent, because_ru: "если есть непереданные документы" },
    Condition { forms: &[21], versions: SINCE_1_1, parent: 0, demanded: tags::UNSENT_TOTALS, when: When::ReportOnline, because_ru: "если касса передаёт данные оператору" },
    Condition { forms: &[5], versions: SINCE_1_05, parent: 0, demanded: tags::UNSENT_COUNT, when: When::RegisteredOnline, because_ru: "если касса передаёт данные оператору" },
    Condition { forms: &[5, 21], versions: SINCE_1_05, parent: 0, demanded: tags::UNSENT_SINCE, when: When::SomethingUnsent, because_ru: "если есть непереданные документы" },
    Condition { forms: &[11], versions: SINCE_1_1, parent: 0, demanded: tags::FN_TOTALS, when: When::FnKept, because_ru: "если ФН не заменён" },
    Condition { forms: RECEIPTS, versions: SINCE_1_05, parent: 0, demanded: tags::BUYER_CONTACT, when: When::Internet, because_ru: "если расчёт сделан в интернете" },
    Condition { forms: RECEIPTS, versions: SINCE_1_05, parent: tags::ITEM, demanded: tags::SUPPLIER_INN, when: When::SoldByAgent, because_ru: "если предмет расчёта продан агентом (1222)" },
    Condition { forms: &[82], versions: &[V1_2], parent: tags::MARKED_GOODS, demanded: tags::SUPPLIER_INN, when: When::SoldByAgent, because_ru: "если предмет расчёта продан агентом (1222)" },
    Condition { forms: RECEIPTS, versions: SINCE_1_05, parent: tags::ITEM, demanded: tags::ITEM_NAME, when: When::GoodsNamedNoAdvance, because_ru: "если способ расчёта — не аванс" },
    Condition { forms: RECEIPTS, versions: &[V1_2], parent: 0, demanded: tags::ADDRESS, when: When::Always, because_ru: "если чек не только электронный" },
    Condition { forms: RECEIPTS, versions: &[V1_2], parent: 0, demanded: tags::PLACE, when: When::Always, because_ru: "если чек не только электронный" },
    Condition { forms: RECEIPTS, versions: &[V1_05, V1_1], parent: tags::ITEM, demanded: tags::PRICE, when: When::GoodsNamed, because_ru: "начиная с 2021-02-01" },
    Condition { forms: RECEIPTS, versions: &[V1_05, V1_1], parent: tags::ITEM, demanded: tags::QUANTITY, when: When::GoodsNamed, because_ru: "начиная с 2021-02-01" },
    Condition { forms: RECEIPTS, versions: &[V1_05], parent: tags::ITEM, demanded: tags::PAYMENT_METHOD, when: When::GoodsNamed, because_ru: "начиная с 2021-02-01" },
];

impl Condition {
    /// Whether this is about that field.
    pub(super) fn is_about(&self, form: u16, version: FfdVersion, parent: u16, tag: u16) -> bool {
        let here = if self.parent == 0 { form } else { self.parent };
        self.demanded == tag
            && here == parent
            && self.forms.contains(&form)
            && self.versions.contains(&version)
    }

    /// A field of the same group without which the condition cannot hold.
    pub(super) fn rests_on(&self) -> Option<u16> {
        match self.when {
            When::SomethingUnsent => Some(tags::UNSENT_COUNT),
            When::FnKept => Some(tags::REASON_MASK),
            When::Internet => Some(tags::INTERNET_PAYMENT),
            When::SoldByAgent => Some(tags::ITEM_AGENT),
            When::GoodsNamedNoAdvance => Some(tags::PAYMENT_METHOD),
            When::ReportOnline | When::RegisteredOnline | When::Always | When::GoodsNamed => None,
        }
    }

    /// Whether the field must be there; `nodes` are the records of its group. What cannot be read decides nothing.
    pub(super) fn holds(&self, case: &Case<'_, '_>, nodes: &Nodes<'_>) -> bool {
        let number = |tag| nodes.clone().find(|node| node.tag == tag).and_then(Node::unsigned);
        let is_named_now = || case.time().is_some_and(|time| time >= GOODS_NAMED_SINCE);
        match self.when {
            When::ReportOnline => {
                !nodes.clone().any(|node| node.tag == tags::OFFLINE_MODE && node.unsigned() != Some(0))
            }
            When::RegisteredOnline => {
                case.registration().is_some_and(|registration| registration.offline == Some(false))
            }
            When::SomethingUnsent => number(tags::UNSENT_COUNT).is_some_and(|count| count > 0),
            When::FnKept => {
                number(tags::REASON_MASK).is_some_and(|mask| mask & FN_REPLACED == 0 && mask != 0)
            }
            When::Internet => number(tags::INTERNET_PAYMENT) == Some(1),
            When::SoldByAgent => number(tags::ITEM_AGENT).is_some_and(|mask| mask != 0),
            When::Always => true,
            When::GoodsNamed => is_named_now(),
            When::GoodsNamedNoAdvance => {
                number(tags::PAYMENT_METHOD).is_some_and(|method| method != ADVANCE) && is_named_now()
            }
        }
    }
}
