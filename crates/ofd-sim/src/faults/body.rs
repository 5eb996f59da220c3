//! The records of a document as a fault changes them: by paths of tags, the first record of each tag.

use ffd::{FfdVersion, tags, tlv};

/// The records of one level; the values of groups are records again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Body {
    records: Vec<(u16, Vec<u8>)>,
}

impl Body {
    /// Reads the records of a level; nothing when they are none.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let records = tlv::records(bytes, 0).ok()?;
        Some(Self {
            records: records.into_iter().map(|record| (record.tag, record.value.to_vec())).collect(),
        })
    }

    /// The records as bytes; nothing when one has outgrown its length field.
    pub(super) fn bytes(&self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        for (tag, value) in &self.records {
            tlv::write_record(&mut out, *tag, value).ok()?;
        }
        Some(out)
    }

    /// The version that the document states.
    pub(super) fn ffd(&self) -> Option<FfdVersion> {
        let code = self.number(&[tags::FFD_VERSION])?;
        FfdVersion::ALL.into_iter().find(|version| u64::from(version.code()) == code)
    }

    /// Whether there is a record at the path.
    pub(super) fn has(&self, path: &[u16]) -> bool {
        self.raw(path).is_some()
    }

    /// The value at the path.
    pub(super) fn raw(&self, path: &[u16]) -> Option<Vec<u8>> {
        let (tag, rest) = path.split_first()?;
        let (_, value) = self.records.iter().find(|(other, _)| other == tag)?;
        if rest.is_empty() { Some(value.clone()) } else { Self::read(value)?.raw(rest) }
    }

    /// The number at the path, little-endian, at most eight bytes.
    pub(super) fn number(&self, path: &[u16]) -> Option<u64> {
        let value = self.raw(path).filter(|value| value.len() <= 8)?;
        Some(value.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// Replaces the value at the path, or appends the record to its group, which must be there.
    pub(super) fn put(&mut self, path: &[u16], value: &[u8]) -> Option<()> {
        let (tag, rest) = path.split_first()?;
        let place = self.records.iter_mut().find(|(other, _)| other == tag);
        match (place, rest) {
            (Some((_, old)), []) => *old = value.to_vec(),
            (None, []) => self.append(*tag, value),
            (Some((_, group)), rest) => change(group, |inner| inner.put(rest, value))?,
            (None, _) => return None,
        }
        Some(())
    }

    /// Replaces the four bytes at the path, which must be there.
    pub(super) fn put_u32(&mut self, path: &[u16], number: u64) -> Option<()> {
        let number = u32::try_from(number).ok()?;
        if self.has(path) { self.put(path, &number.to_le_bytes()) } else { None }
    }

    /// Adds to the variable-length number at the path, which must be there.
    pub(super) fn add_vln(&mut self, path: &[u16], amount: u64) -> Option<()> {
        let sum = self.number(path)?.checked_add(amount)?;
        self.put(path, &ffd::value::vln_bytes(sum))
    }

    /// Adds to the four bytes at the path, which must be there.
    pub(super) fn add_u32(&mut self, path: &[u16], amount: u64) -> Option<()> {
        let sum = self.number(path)?.checked_add(amount)?;
        self.put_u32(path, sum)
    }

    /// Appends a record to the top level.
    pub(super) fn append(&mut self, tag: u16, value: &[u8]) {
        self.records.push((tag, value.to_vec()));
    }

    /// Takes the record at the path away; nothing when it is not there.
    pub(super) fn remove(&mut self, path: &[u16]) -> Option<()> {
        let (tag, rest) = path.split_first()?;
        let place = self.records.iter().position(|(other, _)| other == tag)?;
        if rest.is_empty() {
            self.records.remove(place);
            return Some(());
        }
        let (_, group) = self.records.get_mut(place)?;
        change(group, |inner| inner.remove(rest))
    }

    /// The groups of a tag, in their order.
    pub(super) fn groups(&self, tag: u16) -> Vec<Self> {
        let of_tag = self.records.iter().filter(|(other, _)| *other == tag);
        of_tag.filter_map(|(_, value)| Self::read(value)).collect()
    }

    /// The items of a receipt.
    pub(super) fn items(&self) -> Vec<Self> {
        self.groups(tags::ITEM)
    }

    /// Changes the first item that fits; nothing when none does.
    pub(super) fn change_item(
        &mut self,
        fits: impl Fn(&Self) -> bool,
        with: impl FnOnce(&mut Self) -> Option<()>,
    ) -> Option<()> {
        let is_it = |(tag, value): &&mut (u16, Vec<u8>)| {
            *tag == tags::ITEM && Self::read(value).is_some_and(|item| fits(&item))
        };
        let (_, value) = self.records.iter_mut().find(is_it)?;
        change(value, with)
    }

    /// Length as bytes.
    pub(super) fn len(&self) -> usize {
        self.records.iter().map(|(_, value)| tlv::HEADER_LEN + value.len()).sum()
    }
}

/// Changes the records of a group.
fn change(group: &mut Vec<u8>, with: impl FnOnce(&mut Body) -> Option<()>) -> Option<()> {
    let mut inner = Body::read(group)?;
    with(&mut inner)?;
    *group = inner.bytes()?;
    Some(())
}

/// ASCII text filled with spaces on the right, as ИНН are.
pub(super) fn padded(text: &str, width: usize) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(width.max(bytes.len()), b' ');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_records_and_back_to_bytes() {
        let mut inner = Vec::new();
        tlv::write_record(&mut inner, 1043, &[100]).unwrap();
        let mut bytes = Vec::new();
        tlv::write_record(&mut bytes, 1209, &[4]).unwrap();
        tlv::write_record(&mut bytes, 1059, &inner).unwrap();
        let mut body = Body::read(&bytes).unwrap();
        assert_eq!((body.bytes().unwrap(), body.len()), (bytes.clone(), bytes.len()));
        assert_eq!((body.ffd(), body.number(&[1059, 1043])), (Some(FfdVersion::V1_2), Some(100)));
        assert_eq!(body.add_vln(&[1059, 1043], 200), Some(()));
        assert_eq!(body.number(&[1059, 1043]), Some(300));
        assert_eq!(body.put(&[1059, 1079], &[7]), Some(()));
        assert_eq!((body.put(&[1174, 1178], &[7]), body.remove(&[1059, 1200])), (None, None));
        assert_eq!(body.remove(&[1059, 1043]), Some(()));
        assert_eq!(body.items().len(), 1);
        assert!(body.change_item(|item| item.has(&[1043]), |_| Some(())).is_none());
        assert!(body.change_item(|item| item.has(&[1079]), |item| item.remove(&[1079])).is_some());
        assert_eq!(hex::encode(body.bytes().unwrap()), "b904010004".to_owned() + "23040000");
    }
}
