//! Pure: amounts of a resource, read as the API server reads them, and compared and added up exactly.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// An amount in billionths, the finest there is. Beyond what fits it is only large.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(u128);

/// Digits behind the point that are kept.
const PRECISION: i64 = 9;

/// More digits than any amount has that fits.
const ENOUGH: i64 = 40;

/// The API server takes a larger number with a binary suffix for this one.
const MOST_BINARY: Amount = Amount(i64::MAX as u128 * 1_000_000_000);

/// What a suffix multiplies by: a power of ten, or one of two.
enum Unit {
    Decimal(i64),
    Binary(u32),
}

impl Amount {
    /// One of anything.
    pub const ONE: Self = Self(1_000_000_000);

    /// None where it is no quantity, or a negative one, which could make room for another.
    pub fn of(quantity: &Quantity) -> Option<Self> {
        Self::parse(&quantity.0)
    }

    /// Reads a quantity as text; none as in [`Amount::of`].
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('+').unwrap_or(text);
        let suffix = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, suffix) = text.split_at(suffix);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        if digits.is_empty() || fraction.contains('.') {
            return None;
        }
        let point = i64::try_from(whole.len()).ok()?.saturating_add(PRECISION);
        Some(match Unit::of(suffix)? {
            Unit::Decimal(exponent) => Self(product(&digits, point.saturating_add(exponent), 1)),
            Unit::Binary(exponent) => Self(product(&digits, point, 1 << exponent)).min(MOST_BINARY),
        })
    }

    /// Whether it is nothing.
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Unit {
    fn of(suffix: &str) -> Option<Self> {
        Some(match suffix {
            "n" => Self::Decimal(-9),
            "u" => Self::Decimal(-6),
            "m" => Self::Decimal(-3),
            "" => Self::Decimal(0),
            "k" => Self::Decimal(3),
            "M" => Self::Decimal(6),
            "G" => Self::Decimal(9),
            "T" => Self::Decimal(12),
            "P" => Self::Decimal(15),
            "E" => Self::Decimal(18),
            "Ki" => Self::Binary(10),
            "Mi" => Self::Binary(20),
            "Gi" => Self::Binary(30),
            "Ti" => Self::Binary(40),
            "Pi" => Self::Binary(50),
            "Ei" => Self::Binary(60),
            exponent => Self::Decimal(exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
        })
    }
}

/// `factor` times the number with these digits and this many of them before the point, rounded up.
fn product(digits: &[u8], point: i64, factor: u128) -> u128 {
    let split = usize::try_from(point).unwrap_or(0).min(digits.len());
    let (whole, rest) = digits.split_at(split);
    let value = |digit: &u8| u128::from(digit - b'0');
    let beyond = point.saturating_sub(i64::try_from(digits.len()).unwrap_or(i64::MAX)).clamp(0, ENOUGH);
    let zeros = (0..beyond).map(|_| 0);
    let whole = whole.iter().map(value).chain(zeros);
    let whole = whole.fold(0_u128, |sum, digit| sum.saturating_mul(10).saturating_add(digit));
    // From behind, rounding up at each digit gives the same as once at the end.
    let rest = rest.iter().rev().fold(0, |sum, digit| (value(digit) * factor + sum).div_ceil(10));
    let before = point.saturating_neg().clamp(0, ENOUGH);
    let rest = (0..before).fold(rest, |sum: u128, _| sum.div_ceil(10));
    whole.saturating_mul(factor).saturating_add(rest)
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, string::string_regex};

    use super::*;
    use crate::api::pattern;

    fn amount(text: &str) -> Amount {
        Amount::parse(text).unwrap_or_else(|| panic!("{text} is a quantity"))
    }

    #[test]
    fn the_same_amount_is_the_same_in_every_notation() {
        for same in [
            &["1Gi", "1073741824", "1024Mi", "1048576Ki", "1.0Gi", "01Gi", "+1Gi", "1073741824000m"][..],
            &["0.5", "500m", ".5", "5e-1", "50E-2", "500000000n", "500000u"],
            &["1e3", "1k", "1000", "1000.", "1E3", "1e+3", "0.001M"],
            &["1E", "1000P", "1e18", "1000000000000000000"],
            &["1Ei", "1024Pi", "1152921504606846976"],
            &["1G", "1e9", "1000M", "1000000000"],
            &["0.5Gi", "512Mi", "536870912"],
            &["2Ti", "2048Gi"],
            &["0", "0Ei", "0.0", "0e999999999", "0e-999999999", "00n"],
            &["1n", "0.001u", "1e-9"],
        ] {
            for other in same {
                assert_eq!(amount(same[0]), amount(other), "{} {other}", same[0]);
            }
        }
    }

    #[test]
    fn amounts_are_in_order() {
        let rising = [
            "0",
            "1n",
            "1u",
            "1m",
            "999m",
            "1",
            "1023",
            "1Ki",
            "1M",
            "1Mi",
            "1G",
            "1Gi",
            "1073741825",
            "1T",
            "1Ti",
            "1P",
            "1Pi",
            "1E",
            "1Ei",
            "2Ei",
            "9223372036854775807",
            "1e19",
            "20E",
            "1e29",
        ];
        assert!(rising.map(amount).is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn as_the_api_server_does_too_fine_is_rounded_up_and_too_much_binary_is_cut_off() {
        for (text, same) in [
            ("0.1n", "1n"),
            ("1e-400", "1n"),
            ("0.0000000001", "1n"),
            ("1.0000000000000000000000000000000000000000000000001", "1000000001n"),
            ("0.0000000000000000000000000000000000000000000000001Gi", "1n"),
            ("0.3Ki", "307.2"),
            ("8Ei", "9223372036854775807"),
            ("9999999999999999999999999999Pi", "9223372036854775807"),
        ] {
            assert_eq!(amount(text), amount(same), "{text}");
        }
        assert!(amount("10E") > amount("8Ei"));
    }

    #[test]
    fn an_absurd_amount_is_only_large() {
        let absurd = amount("9e999999999");
        assert!(absurd > amount("1e20"));
        assert!(absurd.plus(absurd) >= absurd);
    }

    #[test]
    fn sums_are_exact() {
        let tenths = (0..10).fold(Amount::default(), |sum, _| sum.plus(amount("0.1")));
        assert_eq!(tenths, Amount::ONE);
        assert_eq!(amount("100m").plus(amount("200m")), amount("300m"));
        assert!(amount("0").is_zero() && !amount("1n").is_zero());
    }

    #[test]
    fn what_is_no_amount_is_none() {
        for text in [
            "",
            "+",
            ".",
            "..",
            "1.2.3",
            "lots",
            "-1",
            "inf",
            "nan",
            "1 Gi",
            "1Gb",
            "1K",
            "1e",
            "1e1.5",
            "1e99999999999999999999",
            "1EE3",
            "Gi",
            "١",
        ] {
            assert_eq!(Amount::parse(text), None, "{text:?}");
        }
    }

    fn quantity() -> impl Strategy<Value = String> {
        string_regex(pattern::QUANTITY.trim_matches(['^', '$'])).unwrap()
    }

    proptest! {
        #[test]
        fn no_text_that_the_definition_admits_ends_the_operator(one in quantity(), other in quantity()) {
            let (one, other) = (Amount::parse(&one), Amount::parse(&other));
            let (one, other) = (one.unwrap_or_default(), other.unwrap_or_default());
            prop_assert!(one.plus(other) >= one.max(other));
        }

        #[test]
        fn nor_does_any_other(text in "\\PC*") {
            let _ = Amount::parse(&text);
        }

        #[test]
        fn order_is_that_of_the_numbers(one: u64, other: u64, suffix in "(m|k|Ki)?") {
            let text = |number: u64| format!("{number}{suffix}");
            let most = u64::from(u32::MAX);
            let (one, other) = (one % most, other % most);
            prop_assert_eq!(amount(&text(one)).cmp(&amount(&text(other))), one.cmp(&other));
        }

        #[test]
        fn binary_is_what_it_multiplies_to(number in 0..1_u64 << 40, tenths in 0..10_u64) {
            let tenth = 1024 * 1024 * (10 * number + tenths);
            prop_assert_eq!(amount(&format!("{number}.{tenths}Mi")), amount(&format!("{tenth}e-1")));
        }
    }
}
