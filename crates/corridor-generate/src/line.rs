//! Line: the reusable buffer that one JSON record is written into by hand.
//!
//! - In: text, numbers, ids and times. Out: bytes.
//! - Keeps: one allocation, reused for every record.
//! - Invariants: `text` and `json_string` write what a JSON string may hold; `raw` writes as given.

/// Microseconds since 1970, UTC.
pub(crate) type Micros = u64;

const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A record under construction.
#[derive(Debug, Default, Clone)]
pub(crate) struct Line {
    bytes: Vec<u8>,
}

impl Line {
    /// Empties it, keeping the memory.
    pub(crate) fn clear(&mut self) -> &mut Self {
        self.bytes.clear();
        self
    }

    /// What was written.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Text as given.
    pub(crate) fn raw(&mut self, text: &str) -> &mut Self {
        self.bytes.extend_from_slice(text.as_bytes());
        self
    }

    /// Bytes as given, also such that are not UTF-8.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// The inside of a JSON string: quotes, backslashes and control characters escaped.
    pub(crate) fn escaped(&mut self, bytes: &[u8]) -> &mut Self {
        for &byte in bytes {
            match byte {
                b'"' => self.bytes.extend_from_slice(b"\\\""),
                b'\\' => self.bytes.extend_from_slice(b"\\\\"),
                b'\n' => self.bytes.extend_from_slice(b"\\n"),
                _ => self.bytes.push(byte),
            }
        }
        self
    }

    /// `"name":"value"` with a leading comma.
    pub(crate) fn field(&mut self, name: &str, value: &str) -> &mut Self {
        self.raw(",\"").raw(name).raw("\":\"").escaped(value.as_bytes()).raw("\"")
    }

    /// `"name":number` with a leading comma.
    pub(crate) fn field_number(&mut self, name: &str, value: u64) -> &mut Self {
        self.raw(",\"").raw(name).raw("\":").number(value)
    }

    /// Decimal digits.
    pub(crate) fn number(&mut self, mut value: u64) -> &mut Self {
        let mut digits = [0_u8; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        self.bytes(&digits[at..])
    }

    /// Decimal digits, filled with zeros on the left.
    pub(crate) fn padded(&mut self, value: u64, width: usize) -> &mut Self {
        let mut scale = 10_u64.pow(width as u32 - 1);
        while scale > 0 {
            self.bytes.push(b'0' + (value / scale % 10) as u8);
            scale /= 10;
        }
        self
    }

    /// The low `digits` hex digits.
    pub(crate) fn hex(&mut self, value: u128, digits: u32) -> &mut Self {
        for index in (0..digits).rev() {
            self.bytes.push(b"0123456789abcdef"[(value >> (index * 4)) as usize & 15]);
        }
        self
    }

    /// A UUID with hyphens.
    pub(crate) fn uuid(&mut self, id: u128) -> &mut Self {
        self.hex(id >> 96, 8).raw("-").hex(id >> 80, 4).raw("-").hex(id >> 64, 4);
        self.raw("-").hex(id >> 48, 4).raw("-").hex(id, 12)
    }

    /// `2026-03-04T09:20:16.0220000Z`, as Azure prints times.
    pub(crate) fn azure_time(&mut self, time: Micros) -> &mut Self {
        self.date_time(time).raw(".").padded(time % 1_000_000, 6).raw("0Z")
    }

    /// `2026-03-04T09:20:16.022Z`, as SQL audit prints times.
    pub(crate) fn audit_time(&mut self, time: Micros) -> &mut Self {
        self.date_time(time).raw(".").padded(time / 1000 % 1000, 3).raw("Z")
    }

    /// `2026-03-04T09:20:16`.
    pub(crate) fn date_time(&mut self, time: Micros) -> &mut Self {
        let second = time / 1_000_000;
        self.date_hour(time).raw(":").padded(second / 60 % 60, 2).raw(":").padded(second % 60, 2)
    }

    /// `2026-03-04T09`.
    pub(crate) fn date_hour(&mut self, time: Micros) -> &mut Self {
        let hour = time / 3_600_000_000;
        let (year, month, day) = civil(hour / 24);
        self.padded(year, 4).raw("-").padded(month, 2).raw("-").padded(day, 2).raw("T").padded(hour % 24, 2)
    }

    /// `Wed, 04 Mar 2026 09:20:15 GMT`.
    pub(crate) fn http_date(&mut self, time: Micros) -> &mut Self {
        let second = time / 1_000_000;
        let days = second / 86_400;
        let (year, month, day) = civil(days);
        self.raw(WEEKDAYS[(days % 7) as usize]).raw(", ").padded(day, 2).raw(" ");
        self.raw(MONTHS[month as usize - 1]).raw(" ").padded(year, 4).raw(" ");
        self.padded(second / 3600 % 24, 2)
            .raw(":")
            .padded(second / 60 % 60, 2)
            .raw(":")
            .padded(second % 60, 2);
        self.raw(" GMT")
    }
}

/// Year, month and day of a count of days since 1970.
pub(crate) fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// A UUID as text.
pub(crate) fn uuid_text(id: u128) -> String {
    let mut line = Line::default();
    text_of(line.uuid(id))
}

/// 32 hex digits as text.
pub(crate) fn hex_text(id: u128) -> String {
    let mut line = Line::default();
    text_of(line.hex(id, 32))
}

/// What a line holds, as text.
pub(crate) fn text_of(line: &Line) -> String {
    String::from_utf8_lossy(&line.bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_print_as_the_sources_print_them() {
        let time = 1_772_616_016_022_000;
        let print = |write: fn(&mut Line, Micros) -> &mut Line| text_of(write(&mut Line::default(), time));
        assert_eq!(print(Line::azure_time), "2026-03-04T09:20:16.0220000Z");
        assert_eq!(print(Line::audit_time), "2026-03-04T09:20:16.022Z");
        assert_eq!(print(Line::date_hour), "2026-03-04T09");
        assert_eq!(print(Line::http_date), "Wed, 04 Mar 2026 09:20:16 GMT");
        assert_eq!(civil(11_016), (2000, 2, 29));
    }

    #[test]
    fn ids_and_numbers_print_in_full() {
        let mut line = Line::default();
        line.number(0).raw(" ").number(1203).raw(" ").padded(7, 3).raw(" ").uuid(0xab);
        assert_eq!(text_of(&line), "0 1203 007 00000000-0000-0000-0000-0000000000ab");
    }
}
