//! Shapes whose homology is known.

use std::collections::BTreeSet;

use ripsaw::{Metric, Options, PointCloud, persistence_of_points};

use crate::{bars, diagrams, distances};

const ROOT_TWO: f64 = std::f32::consts::SQRT_2 as f64;

#[test]
fn no_points_have_empty_diagrams() {
    let persistence =
        persistence_of_points(&PointCloud::new(&[], 0, 3).unwrap(), Metric::Euclidean, &Options::default()).unwrap();
    assert_eq!(persistence.diagrams, vec![vec![]; 3]);
    assert_eq!((persistence.threshold, persistence.distinct_point_count, persistence.edge_count), (0.0, 0, 0));
    assert_eq!(diagrams(&distances(0, |_, _| 0.0), &Options::default()), vec![vec![]; 3]);
}

#[test]
fn one_point_has_one_component() {
    let expected = vec![bars([(0.0, f64::INFINITY)]), vec![], vec![]];
    assert_eq!(diagrams(&distances(1, |_, _| 0.0), &Options::default()), expected);
}

#[test]
fn a_point_that_repeats_is_one_point() {
    let coordinates = [0.5, -0.0, 0.5, 0.0, 0.5, 0.0];
    let points = PointCloud::new(&coordinates, 3, 2).unwrap();
    let persistence = persistence_of_points(&points, Metric::Euclidean, &Options::default()).unwrap();
    assert_eq!(persistence.diagrams, [bars([(0.0, f64::INFINITY)]), vec![], vec![]]);
    assert_eq!((persistence.point_count, persistence.distinct_point_count, persistence.edge_count), (3, 1, 0));
}

#[test]
fn unit_square_has_one_loop() {
    // The sides close it at 1, a diagonal fills it at sqrt 2.
    let points = PointCloud::new(&[0., 0., 1., 0., 1., 1., 0., 1.], 4, 2).unwrap();
    let persistence = persistence_of_points(&points, Metric::Euclidean, &Options::default()).unwrap();
    let zeroth = bars([(0.0, 1.0), (0.0, 1.0), (0.0, 1.0), (0.0, f64::INFINITY)]);
    assert_eq!(persistence.diagrams, [zeroth, bars([(1.0, ROOT_TWO)]), vec![]]);
    assert_eq!((persistence.threshold, persistence.edge_count), (ROOT_TWO, 6));
}

#[test]
fn a_threshold_leaves_classes_without_a_death() {
    let points = PointCloud::new(&[0., 0., 1., 0., 1., 1., 0., 1.], 4, 2).unwrap();
    let with = |threshold| {
        let options = Options::default().with_threshold(threshold);
        persistence_of_points(&points, Metric::Euclidean, &options).unwrap()
    };
    assert_eq!(with(1.0).diagrams[1], bars([(1.0, f64::INFINITY)]));
    assert_eq!((with(1.0).threshold, with(1.0).edge_count), (1.0, 4));
    assert_eq!(with(0.5).diagrams[0], bars([(0.0, f64::INFINITY); 4]));
    assert_eq!(with(f64::INFINITY), with(9.0));
    assert_eq!(with(9.0).threshold, ROOT_TWO);
}

#[test]
fn cosine_and_angular_squares_have_one_loop() {
    // Four directions a quarter turn apart; their lengths do not count, nor do points on one ray.
    let points = PointCloud::new(&[2., 0., 0., 5., -1., 0., 0., -3., 0., 7.], 5, 2).unwrap();
    let cosine = persistence_of_points(&points, Metric::Cosine, &Options::default()).unwrap();
    assert_eq!(cosine.diagrams[1], bars([(1.0, 2.0)]));
    assert_eq!((cosine.point_count, cosine.distinct_point_count), (5, 4));
    let angular = persistence_of_points(&points, Metric::Angular, &Options::default()).unwrap();
    assert_eq!(angular.diagrams[1], bars([(f64::from(std::f32::consts::FRAC_PI_2), f64::from(std::f32::consts::PI))]));
}

#[test]
fn cross_polytopes_are_spheres() {
    // Points 2i and 2i + 1 are opposite; in three dimensions this is the octahedron.
    for dimension in 1..=6 {
        let options = Options::default().with_max_dimension(dimension);
        let sphere = distances(2 * dimension + 2, |i, j| if i / 2 == j / 2 { 2.0 } else { 1.0 });
        let found = diagrams(&sphere, &options);
        assert_eq!(found[0].len(), 2 * dimension + 2);
        assert!(found[1..dimension].iter().all(Vec::is_empty), "{dimension}");
        assert_eq!(found[dimension], bars([(1.0, 2.0)]), "{dimension}");
    }
}

/// The triangulation of the projective plane with six vertices.
const PROJECTIVE_PLANE: [[u8; 3]; 10] =
    [[1, 2, 5], [1, 2, 6], [1, 3, 4], [1, 3, 6], [1, 4, 5], [2, 3, 4], [2, 3, 5], [2, 4, 6], [3, 5, 6], [4, 5, 6]];

#[test]
fn the_projective_plane_has_a_loop_and_a_void_over_z2() {
    // Not a flag complex, but its subdivision is: the faces are the vertices, one in another is an edge.
    let mut faces: BTreeSet<BTreeSet<u8>> = BTreeSet::new();
    for triangle in PROJECTIVE_PLANE {
        for kept in 1..8 {
            faces.insert((0..3).filter(|bit| kept >> bit & 1 == 1).map(|bit| triangle[bit]).collect());
        }
    }
    let faces: Vec<BTreeSet<u8>> = faces.into_iter().collect();
    assert_eq!(faces.len(), 6 + 15 + 10);
    let plane =
        distances(
            faces.len(),
            |i, j| {
                if faces[i].is_subset(&faces[j]) || faces[j].is_subset(&faces[i]) { 1.0 } else { 2.0 }
            },
        );
    let found = diagrams(&plane, &Options::default());
    assert_eq!(found[1], bars([(1.0, 2.0)]));
    assert_eq!(found[2], bars([(1.0, 2.0)]));
}

#[test]
fn the_torus_has_two_loops_and_a_void() {
    // A grid of seven by seven, glued at its sides, each cell cut by one diagonal.
    const SIDE: usize = 7;
    let torus = distances(SIDE * SIDE, |i, j| {
        let step = ((j / SIDE + SIDE - i / SIDE) % SIDE, (j + SIDE - i % SIDE) % SIDE);
        let is_edge = [(0, 1), (1, 0), (1, 1), (0, SIDE - 1), (SIDE - 1, 0), (SIDE - 1, SIDE - 1)].contains(&step);
        if is_edge { 1.0 } else { 2.0 }
    });
    let found = diagrams(&torus, &Options::default());
    assert_eq!(found[1], bars([(1.0, 2.0), (1.0, 2.0)]));
    assert_eq!(found[2], bars([(1.0, 2.0)]));
}
