//! Dates of the proleptic Gregorian calendar and days since the Unix epoch
//! (the era arithmetic of Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").

use crate::time::DAY_NS;

/// Days since the Unix epoch of a year, a month from 1 and a day from 1.
pub const fn days_from_date(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a day since the Unix epoch: the inverse of [`days_from_date`].
pub const fn date_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + (month <= 2) as i64, month, day)
}

/// The date of a time in nanoseconds since the Unix epoch, UTC: `2024-01-31`.
pub fn date_text(time_ns: i64) -> String {
    let (year, month, day) = date_from_days(time_ns.div_euclid(DAY_NS));
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_days_are_inverse() {
        for day in -200_000..200_000 {
            let (year, month, date) = date_from_days(day);
            assert!((1..=12).contains(&month) && (1..=31).contains(&date));
            assert_eq!(days_from_date(year, month, date), day);
        }
        // 2024-01-01 was 19,723 days after the epoch; 2024 is a leap year, 1900 is none.
        assert_eq!(days_from_date(2024, 1, 1), 19_723);
        assert_eq!(date_from_days(19_723 + 59), (2024, 2, 29));
        assert_eq!(days_from_date(1900, 3, 1) - days_from_date(1900, 2, 28), 1);
        assert_eq!(date_text(days_from_date(2025, 6, 30) * DAY_NS + 5), "2025-06-30");
        assert_eq!(date_text(-1), "1969-12-31");
    }
}
