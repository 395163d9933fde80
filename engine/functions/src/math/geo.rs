//! GEO_DISTANCE: the haversine formula on a sphere.

use arrow::array::ArrayRef;
use arrow::datatypes::Float64Type;
use datafusion::error::Result;

use super::double::radians;
use crate::call::Call;

const RADIUS_KM: f64 = 6371.0;
const RADIUS_MILES: f64 = 3959.0;

/// The distance between two points given in degrees. Fails for coordinates out of range and unknown units.
pub fn distance(call: &Call<'_>) -> Result<ArrayRef> {
    let degrees = [0, 1, 2, 3].map(|at| call.numbers::<Float64Type>(at));
    let units = (call.len() > 4).then(|| call.texts(4));
    call.each::<Float64Type>(|row| {
        if degrees.iter().any(|column| column.is_null(row)) {
            return Ok(None);
        }
        let [lat1, lon1, lat2, lon2] = [0, 1, 2, 3].map(|at| degrees[at].value(row));
        let within = |degrees: f64, limit: f64| (-limit..=limit).contains(&degrees);
        if ![lat1, lat2].iter().all(|lat| within(*lat, 90.0)) || ![lon1, lon2].iter().all(|lon| within(*lon, 180.0)) {
            return Err("latitudes are from -90 to 90 and longitudes from -180 to 180".to_owned());
        }
        let radius = match units.as_ref().and_then(|units| units.get(row)) {
            Some(unit) => radius(unit)?,
            None => RADIUS_KM,
        };
        Ok(Some(angle(lat1, lon1, lat2, lon2) * radius))
    })
}

fn radius(unit: &str) -> Result<f64, String> {
    let begins = |with: &str| unit.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with));
    match unit {
        _ if begins("km") || begins("kilomet") => Ok(RADIUS_KM),
        _ if begins("mi") => Ok(RADIUS_MILES),
        _ => Err(format!("the unit '{unit}' is neither KM nor MI")),
    }
}

fn angle(lat1: f64, lon1: f64, lat2: f64, lon2: f64) -> f64 {
    let half_square = |angle: f64| (angle / 2.0).sin().powi(2);
    let (lat, lon) = (radians(lat2 - lat1), radians(lon2 - lon1));
    let a = half_square(lat) + half_square(lon) * radians(lat1).cos() * radians(lat2).cos();
    2.0 * a.sqrt().asin()
}
