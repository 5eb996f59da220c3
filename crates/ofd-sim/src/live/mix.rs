//! What the registers of a run are like: lists that are dealt out in turn.

use std::str::FromStr;

use ffd::FfdVersion;

use crate::trade::Trade;

/// Which FFD versions the registers have, dealt out in turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FfdMix(Vec<FfdVersion>);

impl FfdMix {
    /// The version of the `index`-th register.
    #[must_use]
    pub fn of(&self, index: u32) -> FfdVersion {
        dealt(&self.0, index).unwrap_or(FfdVersion::V1_2)
    }
}

impl Default for FfdMix {
    /// Half of the registers of FFD 1.2, a quarter each of 1.05 and 1.1.
    fn default() -> Self {
        Self(vec![FfdVersion::V1_2, FfdVersion::V1_05, FfdVersion::V1_2, FfdVersion::V1_1])
    }
}

impl FromStr for FfdMix {
    type Err = String;

    /// `mixed`, or versions with commas between them.
    fn from_str(text: &str) -> Result<Self, String> {
        const KNOWN: [FfdVersion; 3] = [FfdVersion::V1_05, FfdVersion::V1_1, FfdVersion::V1_2];
        list(text, "mixed", |name| {
            let found = KNOWN.into_iter().find(|version| version.as_str() == name);
            found.ok_or_else(|| "expected 1.05, 1.1, 1.2 or mixed".to_owned())
        })
        .map(|list| list.map_or_else(Self::default, Self))
    }
}

/// Trades of the registers, dealt out in turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TradeMix(Vec<Trade>);

impl TradeMix {
    /// The trade of the `index`-th register.
    #[must_use]
    pub fn of(&self, index: u32) -> Trade {
        dealt(&self.0, index).unwrap_or(Trade::Grocery)
    }
}

impl Default for TradeMix {
    /// All of them.
    fn default() -> Self {
        Self(Trade::ALL.to_vec())
    }
}

impl FromStr for TradeMix {
    type Err = String;

    /// `mixed`, or trades with commas between them.
    fn from_str(text: &str) -> Result<Self, String> {
        list(text, "mixed", str::parse).map(|list| list.map_or_else(Self::default, Self))
    }
}

/// Time zones of the registers, hours ahead of UTC, dealt out in turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneMix(Vec<u8>);

impl ZoneMix {
    /// The zone of the `index`-th register.
    #[must_use]
    pub fn of(&self, index: u32) -> u8 {
        dealt(&self.0, index).unwrap_or(3)
    }
}

impl Default for ZoneMix {
    /// Moscow.
    fn default() -> Self {
        Self(vec![3])
    }
}

impl FromStr for ZoneMix {
    type Err = String;

    /// `all` (Kaliningrad to Kamchatka), or hours ahead of UTC with commas between them.
    fn from_str(text: &str) -> Result<Self, String> {
        let hours = |name: &str| {
            let hours = name.parse().ok().filter(|hours| (2..=12).contains(hours));
            hours.ok_or_else(|| "expected hours ahead of UTC, 2 to 12, or all".to_owned())
        };
        Ok(Self(list(text, "all", hours)?.unwrap_or_else(|| (2..=12).collect())))
    }
}

fn dealt<T: Copy>(list: &[T], index: u32) -> Option<T> {
    let index = usize::try_from(index).unwrap_or(0);
    list.get(index.checked_rem(list.len())?).copied()
}

/// The listed values; nothing for the word that stands for the default.
fn list<T>(
    text: &str,
    word: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<Vec<T>>, String> {
    if text == word {
        return Ok(None);
    }
    text.split(',').map(read).collect::<Result<_, _>>().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_dealt_out() {
        let versions: FfdMix = "1.05,1.1".parse().unwrap();
        assert_eq!(
            (versions.of(0), versions.of(1), versions.of(2)),
            (FfdVersion::V1_05, FfdVersion::V1_1, FfdVersion::V1_05)
        );
        assert_eq!("mixed".parse(), Ok(FfdMix::default()));
        let trades: TradeMix = "taxi,agent".parse().unwrap();
        assert_eq!((trades.of(0), trades.of(3)), (Trade::Taxi, Trade::Agent));
        assert_eq!("mixed".parse(), Ok(TradeMix::default()));
        let zones: ZoneMix = "all".parse().unwrap();
        assert_eq!((zones.of(0), zones.of(10), zones.of(11)), (2, 12, 2));
        assert_eq!("3".parse(), Ok(ZoneMix::default()));
        assert!("1.0".parse::<FfdMix>().is_err() && "1.2,".parse::<FfdMix>().is_err());
        assert!("mixed,taxi".parse::<TradeMix>().is_err() && "".parse::<TradeMix>().is_err());
        assert!("13".parse::<ZoneMix>().is_err() && "1".parse::<ZoneMix>().is_err());
    }
}
