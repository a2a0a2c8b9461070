//! Every error, with the message people read.

use ripsaw::{
    CondensedDistances, Error, MAX_DIMENSION_LIMIT, Metric, Options, PointCloud, persistence_of_distances,
    persistence_of_points,
};

use crate::distances;

fn cloud_error(coordinates: &[f32], count: usize, dimension: usize) -> String {
    PointCloud::new(coordinates, count, dimension).unwrap_err().to_string()
}

fn measuring_error(coordinates: &[f32], metric: Metric) -> String {
    let points = PointCloud::new(coordinates, coordinates.len() / 2, 2).unwrap();
    persistence_of_points(&points, metric, &Options::default()).unwrap_err().to_string()
}

fn condensed_error(values: &[f32], count: usize) -> String {
    CondensedDistances::from_condensed(values.to_vec(), count).unwrap_err().to_string()
}

fn square_error(matrix: &[f32], count: usize) -> String {
    CondensedDistances::from_square(matrix, count).unwrap_err().to_string()
}

fn options_error(options: &Options) -> String {
    persistence_of_distances(&distances(3, |_, _| 1.0), options).unwrap_err().to_string()
}

#[test]
fn wrong_numbers_of_coordinates() {
    assert_eq!(cloud_error(&[1., 2., 3.], 2, 2), "2 points of dimension 2 need 2 x 2 coordinates, got 3");
    // The product wraps around to 0 in 64 bits.
    let half = 1usize << (usize::BITS / 2);
    let message = format!("{half} points of dimension {half} need {half} x {half} coordinates, got 0");
    assert_eq!(cloud_error(&[], half, half), message);
}

#[test]
fn coordinates_that_are_not_finite() {
    assert_eq!(cloud_error(&[1., 2., 3., f32::NAN], 2, 2), "coordinate 1 of point 1 must be finite, got NaN");
    assert_eq!(cloud_error(&[1., f32::NEG_INFINITY], 1, 2), "coordinate 1 of point 0 must be finite, got -inf");
}

#[test]
fn points_without_a_direction() {
    let message = "point 1 must have a direction for this metric, got all coordinates zero";
    assert_eq!(measuring_error(&[1., 2., 0., -0., 3., 3.], Metric::Cosine), message);
    assert_eq!(measuring_error(&[1., 2., 0., -0., 3., 3.], Metric::Angular), message);
}

#[test]
fn points_too_far_apart() {
    // Points are named as given, though the first two are one.
    let message = measuring_error(&[3e38, 0., 3e38, 0., -3e38, 0.], Metric::Euclidean);
    assert_eq!(message, "the distance between points 0 and 2 must be at most 3.4028235e38, got 6.0000000109955115e38");
}

#[test]
fn wrong_numbers_of_distances() {
    assert_eq!(condensed_error(&[1., 2.], 3), "3 points need 3 distances, got 2");
    assert_eq!(square_error(&[0., 1., 1.], 2), "2 points need 4 distances, got 3");
    assert_eq!(
        condensed_error(&[], usize::MAX),
        format!("simplices of dimension 1 on {} points must be fewer than 2^64, got more", usize::MAX)
    );
}

#[test]
fn distances_that_are_not_finite() {
    assert_eq!(condensed_error(&[1., f32::NAN, 1.], 3), "the distance between points 0 and 2 must be finite, got NaN");
    assert_eq!(
        square_error(&[0., 1., f32::INFINITY, 0.], 2),
        "the distance between points 0 and 1 must be finite, got inf"
    );
}

#[test]
fn negative_distances() {
    let message = "the distance between points 1 and 2 must not be negative, got -1";
    assert_eq!(condensed_error(&[1., 1., -1.], 3), message);
    assert_eq!(square_error(&[0., 1., 1., 1., 0., -1., 1., -1., 0.], 3), message);
}

#[test]
fn diagonals_that_are_not_zero() {
    assert_eq!(square_error(&[0., 1., 1., 0.5], 2), "the distance of point 1 to itself must be 0, got 0.5");
    assert_eq!(square_error(&[f32::NAN], 1), "the distance of point 0 to itself must be 0, got NaN");
}

#[test]
fn matrices_that_are_not_symmetric() {
    assert_eq!(square_error(&[0., 1., 1.5, 0.], 2), "row 0, column 1 must equal row 1, column 0, got 1 and 1.5");
}

#[test]
fn thresholds_out_of_range() {
    let message = |threshold| options_error(&Options::default().with_threshold(threshold));
    assert_eq!(message(f64::NAN), "the threshold must be a number not below 0, got NaN");
    assert_eq!(message(-0.5), "the threshold must be a number not below 0, got -0.5");
}

#[test]
fn dimensions_out_of_range() {
    let options = Options::default().with_max_dimension(MAX_DIMENSION_LIMIT + 1);
    assert_eq!(options_error(&options), "the largest dimension must be at most 66, got 67");
    let options = Options::default().with_max_dimension(MAX_DIMENSION_LIMIT);
    assert!(persistence_of_distances(&distances(3, |_, _| 1.0), &options).is_ok());
}

#[test]
fn simplices_too_many_to_number() {
    let many = distances(200, |_, _| 1.0);
    let options = Options::default().with_max_dimension(20);
    let message = persistence_of_distances(&many, &options).unwrap_err().to_string();
    // C(200, 13) is 4.8e19 and the first above 2^64, 1.8e19.
    assert_eq!(message, "simplices of dimension 12 on 200 points must be fewer than 2^64, got more");
}

#[test]
fn memory_that_runs_out() {
    // Four rows of nine numbers, three edges of 12 bytes, three rows of three distances and five words of neighbours.
    let options = Options::default().with_memory_bytes_max(1);
    assert_eq!(options_error(&options), "memory must stay within 1 bytes, got a need of 480 bytes");
    let too_many = Error::TooManyPoints { got: 65_536, limit: 65_535 };
    assert_eq!(too_many.to_string(), "distinct points must be at most 65535, got 65536");
    assert_eq!(Error::Cancelled.to_string(), "the computation was cancelled");
    let refused = Error::OutOfMemory { needed: 64 };
    assert_eq!(refused.to_string(), "64 bytes of memory must be available, got a refusal");
}
