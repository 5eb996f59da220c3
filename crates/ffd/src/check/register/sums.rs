//! What receipts add up to: the running sums of a shift, and the totals of an ФН that never decrease.

use super::inner;
use crate::dict::FormCode;
use crate::document::{Document, Node};
use crate::tags;

/// One of the four operations (tag 1054) with the groups that count it.
pub(in crate::check) struct Operation {
    /// Value of tag 1054.
    pub(in crate::check) code: u64,
    /// The group of its receipts.
    pub(in crate::check) receipts: u16,
    /// The group of its corrections, inside 1133.
    pub(in crate::check) corrections: u16,
}

/// The operations in the order of their codes.
pub(in crate::check) const OPERATIONS: [Operation; 4] = [
    Operation { code: 1, receipts: tags::SALE_COUNTERS, corrections: tags::CORRECTION_SALE_COUNTERS },
    Operation {
        code: 2,
        receipts: tags::SALE_REFUND_COUNTERS,
        corrections: tags::CORRECTION_SALE_REFUND_COUNTERS,
    },
    Operation { code: 3, receipts: tags::PAYOUT_COUNTERS, corrections: tags::CORRECTION_PAYOUT_COUNTERS },
    Operation {
        code: 4,
        receipts: tags::PAYOUT_REFUND_COUNTERS,
        corrections: tags::CORRECTION_PAYOUT_REFUND_COUNTERS,
    },
];

/// Receipts of one operation: how many, and in kopecks what they come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::check) struct Block {
    pub(in crate::check) count: u64,
    pub(in crate::check) cash: u64,
    pub(in crate::check) cashless: u64,
    pub(in crate::check) prepaid: u64,
    pub(in crate::check) credit: u64,
    pub(in crate::check) provision: u64,
    pub(in crate::check) total: u64,
}

impl Block {
    /// The tags of a block of counters and what each should hold.
    pub(in crate::check) fn members(&self) -> [(u16, u64); 7] {
        [
            (tags::BLOCK_COUNT, self.count),
            (tags::BLOCK_CASH, self.cash),
            (tags::BLOCK_CASHLESS, self.cashless),
            (tags::BLOCK_PREPAID, self.prepaid),
            (tags::BLOCK_CREDIT, self.credit),
            (tags::BLOCK_PROVISION, self.provision),
            (tags::BLOCK_TOTAL, self.total),
        ]
    }

    /// Adds a receipt; `None` when its total does not read or a sum grows past 64 bits.
    fn add(&mut self, doc: &Document<'_>) -> Option<()> {
        let sums: [(u16, &mut u64); 5] = [
            (tags::CASH, &mut self.cash),
            (tags::CASHLESS, &mut self.cashless),
            (tags::PREPAID, &mut self.prepaid),
            (tags::CREDIT, &mut self.credit),
            (tags::PROVISION, &mut self.provision),
        ];
        for (tag, sum) in sums {
            let paid = match doc.node(tag) {
                Some(node) => node.unsigned()?,
                None => 0,
            };
            *sum = sum.checked_add(paid)?;
        }
        self.total = self.total.checked_add(doc.unsigned(tags::TOTAL_SUM)?)?;
        self.count += 1;
        Some(())
    }
}

/// What the receipts of a shift come to, by operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::check) struct ShiftSums {
    pub(in crate::check) receipts: [Block; 4],
    pub(in crate::check) corrections: [Block; 4],
}

impl ShiftSums {
    /// Adds a receipt; `None` when it does not say what it adds.
    pub(super) fn add(&mut self, doc: &Document<'_>) -> Option<()> {
        let code = doc.unsigned(tags::OPERATION_TYPE)?;
        let place = OPERATIONS.iter().position(|operation| operation.code == code)?;
        let is_correction = matches!(doc.form(), FormCode::RECEIPT_CORRECTION | FormCode::BSO_CORRECTION);
        let blocks = if is_correction { &mut self.corrections } else { &mut self.receipts };
        blocks.get_mut(place)?.add(doc)
    }

    /// Number of corrections.
    pub(in crate::check) fn correction_count(&self) -> u64 {
        self.corrections.iter().map(|block| block.count).sum()
    }

    /// Number of receipts, corrections included.
    pub(in crate::check) fn count(&self) -> u64 {
        self.correction_count() + self.receipts.iter().map(|block| block.count).sum::<u64>()
    }
}

/// Numbers of the totals of an ФН (tag 1157) that never decrease: a path inside it, and the number there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::check) struct Totals {
    numbers: [Option<u64>; Totals::COUNT],
}

impl Totals {
    const COUNT: usize = 10;

    /// What is compared: the group inside 1157 (none for 1157 itself) and the tag in it.
    pub(in crate::check) const PATHS: [(Option<u16>, u16); Self::COUNT] = [
        (None, tags::ALL_COUNT),
        (Some(tags::SALE_COUNTERS), tags::BLOCK_COUNT),
        (Some(tags::SALE_COUNTERS), tags::BLOCK_TOTAL),
        (Some(tags::SALE_REFUND_COUNTERS), tags::BLOCK_COUNT),
        (Some(tags::SALE_REFUND_COUNTERS), tags::BLOCK_TOTAL),
        (Some(tags::PAYOUT_COUNTERS), tags::BLOCK_COUNT),
        (Some(tags::PAYOUT_COUNTERS), tags::BLOCK_TOTAL),
        (Some(tags::PAYOUT_REFUND_COUNTERS), tags::BLOCK_COUNT),
        (Some(tags::PAYOUT_REFUND_COUNTERS), tags::BLOCK_TOTAL),
        (Some(tags::CORRECTION_COUNTERS), tags::CORRECTION_COUNT),
    ];

    /// Reads a group 1157.
    pub(in crate::check) fn read(totals: Node<'_>) -> Self {
        let number = |(group, tag)| match group {
            None => inner(totals, tag),
            Some(group) => totals.child(group).and_then(|block| inner(block, tag)),
        };
        Self { numbers: Self::PATHS.map(number) }
    }

    /// The numbers in the order of [`Self::PATHS`].
    pub(in crate::check) fn numbers(&self) -> impl Iterator<Item = Option<u64>> {
        self.numbers.iter().copied()
    }
}
