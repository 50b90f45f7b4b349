//! Timestamp: the forms in which Azure prints a moment.
//!
//! - In: a text (synapse-diagnostics.md §1.3).
//! - Out: UTC microseconds inside the range an event may have; further digits are cut.
//! - Invariants: no zone means UTC; US dates have the month first; sentinels such as 1601 are no time.

use corridor_model::Micros;

/// Reads a moment. None for sentinels and for what is no time.
pub(super) fn parse_time(text: &str) -> Option<Micros> {
    let mut cursor = Cursor { rest: text.trim().as_bytes() };
    let (date, is_us) = cursor.date()?;
    if !matches!(cursor.next()?, b'T' | b't' | b' ') {
        return None;
    }
    let mut micros = cursor.time_of_day(is_us)?;
    cursor.skip_blanks();
    let half = cursor.half_of_day();
    if let Some(is_afternoon) = half {
        let hour = micros / HOUR;
        if !(1..=12).contains(&hour) {
            return None;
        }
        micros += (hour % 12 - hour + if is_afternoon { 12 } else { 0 }) * HOUR;
    }
    cursor.skip_blanks();
    let offset = cursor.offset()?;
    let moment = date.checked_mul(24 * HOUR)?.checked_add(micros)?.checked_sub(offset)?;
    Micros(moment).in_event_range()
}

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;

struct Cursor<'t> {
    rest: &'t [u8],
}

impl Cursor<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn skip(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    /// A number of `min` to `max` digits.
    fn number(&mut self, min: usize, max: usize) -> Option<i64> {
        let length = self.rest.iter().take(max).take_while(|byte| byte.is_ascii_digit()).count();
        if length < min {
            return None;
        }
        let (digits, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
    }

    /// Days since the epoch, and whether the date was in US form.
    fn date(&mut self) -> Option<(i64, bool)> {
        let first = self.number(1, 4)?;
        let separator = self.next()?;
        let second = self.number(1, 2)?;
        self.skip(separator)?;
        let (year, month, day, is_us) = match separator {
            b'-' => (first, second, self.number(2, 2)?, false),
            b'/' if first <= 12 => (self.number(4, 4)?, first, second, true),
            _ => return None,
        };
        Some((days_since_epoch(year, month, day)?, is_us))
    }

    fn time_of_day(&mut self, is_us: bool) -> Option<i64> {
        let hour_digits_min = if is_us { 1 } else { 2 };
        let hour = self.number(hour_digits_min, 2)?;
        self.skip(b':')?;
        let minute = self.number(2, 2)?;
        let mut second = 0;
        let mut fraction = 0;
        if self.rest.first() == Some(&b':') {
            self.skip(b':')?;
            second = self.number(2, 2)?;
            if matches!(self.rest.first(), Some(b'.' | b',')) {
                self.next();
                let length = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                fraction = self.number(1, 6)? * 10_i64.pow(6 - length.min(6) as u32);
                self.rest = &self.rest[length.saturating_sub(6)..];
            }
        }
        let is_clock = hour <= 23 && minute <= 59 && second <= 60;
        is_clock.then_some(hour * HOUR + minute * MINUTE + second * 1_000_000 + fraction)
    }

    /// `AM` or `PM`; true for the afternoon.
    fn half_of_day(&mut self) -> Option<bool> {
        let is_afternoon = match self.rest.get(..2)?.to_ascii_uppercase().as_slice() {
            b"AM" => false,
            b"PM" => true,
            _ => return None,
        };
        self.rest = &self.rest[2..];
        Some(is_afternoon)
    }

    /// The zone at the end, in microseconds east of UTC.
    fn offset(&mut self) -> Option<i64> {
        let sign = match self.rest {
            [] | b"Z" | b"z" => return Some(0),
            [b'+', ..] => 1,
            [b'-', ..] => -1,
            _ => return None,
        };
        self.next();
        let hours = self.number(2, 2)?;
        if self.rest.first() == Some(&b':') {
            self.next();
        }
        let minutes = if self.rest.is_empty() { 0 } else { self.number(2, 2)? };
        (self.rest.is_empty() && hours <= 18 && minutes <= 59)
            .then_some(sign * (hours * HOUR + minutes * MINUTE))
    }
}

/// Days from 1970-01-01 in the Gregorian calendar. None when there is no such day.
fn days_since_epoch(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(is_leap),
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Years are counted from March, so that the leap day is the last of its year.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_documented_form_is_read() {
        let cases = [
            ("2019-07-15T18:00:22.6235064Z", "2019-07-15T18:00:22.623506Z"),
            ("2019-01-22T21:21:26.844Z", "2019-01-22T21:21:26.844000Z"),
            ("2019-01-22T21:21:26.84Z", "2019-01-22T21:21:26.840000Z"),
            ("2026-03-04T09:41:00.535404056Z", "2026-03-04T09:41:00.535404Z"),
            ("2026-03-04T11:41:00+02:00", "2026-03-04T09:41:00.000000Z"),
            ("2026-03-04T11:41:00.5+0200", "2026-03-04T09:41:00.500000Z"),
            ("2007-01-09T09:41:00", "2007-01-09T09:41:00.000000Z"),
            ("2007-01-09 09:41:00", "2007-01-09T09:41:00.000000Z"),
            ("1/9/2007 9:41:00 AM +01:00", "2007-01-09T08:41:00.000000Z"),
            ("01/09/2007 09:41:00", "2007-01-09T09:41:00.000000Z"),
            ("3/4/2026 12:00:01 AM", "2026-03-04T00:00:01.000000Z"),
            ("3/4/2026 12:00:01 PM", "2026-03-04T12:00:01.000000Z"),
            ("2024-02-29T23:59:59-05:30", "2024-03-01T05:29:59.000000Z"),
        ];
        for (text, want) in cases {
            assert_eq!(parse_time(text).map(|time| time.to_string()).as_deref(), Some(want), "{text}");
        }
    }

    #[test]
    fn sentinels_and_nonsense_are_no_time() {
        for text in [
            "1601-01-01T00:00:00Z",
            "0001-01-01T00:00:00",
            "",
            "now",
            "2026-02-30T00:00:00Z",
            "2026-03-04",
            "2026-03-04T25:00:00Z",
            "13/1/2026 00:00:00",
            "2026-03-04T09:41:00 somewhere",
            "3/4/2026 13:00:00 PM",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn printed_times_come_back(micros in 0_i64..Micros::MAX_EVENT.0) {
            prop_assert_eq!(parse_time(&Micros(micros).to_string()), Some(Micros(micros)));
        }

        #[test]
        fn any_text_is_read_without_panic(text in "[0-9/:TZ.+\\- APM]{0,40}") {
            let _ = parse_time(&text);
        }
    }
}
