//! One defect at a time, each planted in a database that was whole.

use loopscope_core::doctor::FindingKind::{self, *};
use loopscope_core::doctor::{DoctorOptions, Severity};
use loopscope_core::experiment::{ExperimentId, Origin};

use crate::fixture::{Database, EXPERIMENT, LONG, SHORT, Shape, finds, has_diagram_codec, id, plants, try_examine};

#[test]
fn a_whole_experiment_gives_no_finding() {
    for shape in [SHORT, Shape { origin: Origin::Legacy, ..SHORT }, Shape { seed: -1, ..SHORT }] {
        let (diagnosis, findings) = Database::new(shape).examine();
        assert!(findings.is_empty(), "{findings:#?}");
        assert_eq!(diagnosis.schema_version, 1);
        assert_eq!(diagnosis.checked["invocation"], 6);
        assert_eq!(diagnosis.checked["embedding"], 2);
        assert_eq!(diagnosis.checked["image"], 4);
        assert!(diagnosis.counts.is_empty());
    }
}

#[test]
fn a_whole_experiment_with_diagrams_gives_no_finding() {
    if !has_diagram_codec() {
        return;
    }
    let (diagnosis, findings) = Database::new(LONG).examine();
    assert!(findings.is_empty(), "{findings:#?}");
    assert_eq!(diagnosis.checked["persistence_diagram"], 2);
}

/// Defects that a whole database can be given by SQL, each with a name and the kind that it is: handed to the macro
/// `$each`, which makes of every one a test of that name, or a list of all.
macro_rules! violations {
    ($each:ident) => {
        $each! {
            out_of_range_experiment_max_length: "UPDATE experiment SET max_length = 0" => OutOfRange;
            integrity_experiment_config_null: "UPDATE experiment SET config = NULL" => Integrity;
            // References.
            foreign_key_run_experiment_id: "UPDATE run SET experiment_id = $NOWHERE WHERE id = $RUN1" => ForeignKey;
            foreign_key_embedding_invocation_id: "UPDATE embedding SET invocation_id = $NOWHERE WHERE id = $VECTOR1" => ForeignKey;
            foreign_key_image_deleted: "DELETE FROM image" => ForeignKey;
            model_version_missing_model_version_deleted: "DELETE FROM model_version WHERE id = $READER" => ModelVersionMissing;
            foreign_key_model_version_deleted: "DELETE FROM model_version WHERE id = $PAINTER" => ForeignKey;
            // Columns: class, length, NULL, range, words, lists, JSON, text.
            wrong_storage_class_invocation_started_at: "UPDATE invocation SET started_at = 'noon' WHERE id = $STEP1" => WrongStorageClass;
            wrong_storage_class_embedding_vector: "UPDATE embedding SET vector = 'abcd' WHERE id = $VECTOR1" => WrongStorageClass;
            wrong_storage_class_experiment_name: "UPDATE experiment SET name = x'00'" => WrongStorageClass;
            wrong_storage_class_run_seed: "UPDATE run SET seed = 7.5 WHERE id = $RUN1" => WrongStorageClass;
            wrong_storage_class_embedding_cluster_probability: "UPDATE embedding_cluster SET probability = 'much'" => WrongStorageClass;
            wrong_length_embedding_id: "UPDATE embedding SET id = x'00' WHERE id = $VECTOR1" => WrongLength;
            wrong_storage_class_experiment_id: "UPDATE experiment SET id = '0123456789abcdef'" => WrongStorageClass;
            wrong_length_image_pixel_hash: "UPDATE image SET pixel_hash = x'00'" => WrongLength;
            null_in_required_embedding_vector_null: "UPDATE embedding SET vector = NULL WHERE id = $VECTOR1" => NullInRequired;
            null_in_required_experiment_config_null: "UPDATE experiment SET config = NULL" => NullInRequired;
            null_in_required_run_id_null: "UPDATE run SET id = NULL WHERE id = $RUN1" => NullInRequired;
            text_not_utf8_invocation_output_text: "UPDATE invocation SET output_text = CAST(x'ff' AS TEXT) WHERE id = $STEP1" => TextNotUtf8;
            out_of_range_run_run_number: "UPDATE run SET run_number = -1 WHERE id = $RUN1" => OutOfRange;
            out_of_range_invocation_seed: "UPDATE invocation SET seed = -2 WHERE id = $STEP1" => OutOfRange;
            out_of_range_image_width: "UPDATE image SET width = 0" => OutOfRange;
            out_of_range_clustering_result_layer: "UPDATE clustering_result SET layer = -1" => OutOfRange;
            out_of_range_embedding_cluster_probability: "UPDATE embedding_cluster SET probability = 1.5" => OutOfRange;
            unknown_word_experiment_origin: "UPDATE experiment SET origin = 'elsewhere'" => UnknownWord;
            unknown_word_model_version_kind: "UPDATE model_version SET kind = 'oracle' WHERE id = $READER" => UnknownWord;
            unknown_word_model_version_determinism: "UPDATE model_version SET determinism = 'perhaps' WHERE id = $READER" => UnknownWord;
            unknown_word_invocation_type: "UPDATE invocation SET type = 'sound' WHERE id = $STEP1" => UnknownWord;
            list_invalid_experiment_networks_empty: "UPDATE experiment SET networks = '[]'" => ListInvalid;
            list_invalid_experiment_networks_painter: "UPDATE experiment SET networks = '[\"Painter\"]'" => ListInvalid;
            list_invalid_experiment_prompts: "UPDATE experiment SET prompts = '{}'" => ListInvalid;
            list_invalid_experiment_seeds_below_minus_1: "UPDATE experiment SET seeds = '[-2]'" => ListInvalid;
            list_invalid_experiment_seeds_half: "UPDATE experiment SET seeds = '[0.5]'" => ListInvalid;
            list_invalid_experiment_embedding_models: "UPDATE experiment SET embedding_models = '[1]'" => ListInvalid;
            list_invalid_run_network: "UPDATE run SET network = 'Painter' WHERE id = $RUN1" => ListInvalid;
            json_invalid_experiment_config: "UPDATE experiment SET config = '{'" => JsonInvalid;
            json_invalid_model_version_parameters: "UPDATE model_version SET parameters = '[]'" => JsonInvalid;
            json_invalid_clustering_result_parameters: "UPDATE clustering_result SET parameters = 'eps=1'" => JsonInvalid;
            name_empty_experiment_name: "UPDATE experiment SET name = ' '" => NameEmpty;
            time_order_invocation_completed_at: "UPDATE invocation SET completed_at = started_at - 1 WHERE id = $STEP1" => TimeOrder;
            time_order_experiment_completed_at: "UPDATE experiment SET completed_at = started_at - 1" => TimeOrder;
            completed_at_missing_invocation_completed_at_null: "UPDATE invocation SET completed_at = NULL WHERE id = $STEP1" => CompletedAtMissing;
            completed_at_missing_embedding_completed_at_null: "UPDATE embedding SET completed_at = NULL WHERE id = $VECTOR1" => CompletedAtMissing;
            // Experiments and runs.
            completed_though_incomplete_invocation_deleted: "DELETE FROM invocation WHERE id = $STEP2" => CompletedThoughIncomplete;
            not_started_with_invocations_experiment_started_at_null: "UPDATE experiment SET started_at = NULL" => NotStartedWithInvocations;
            run_network_run_network: "UPDATE run SET network = '[\"Writer\",\"Painter\"]' WHERE id = $RUN1" => RunNetwork;
            run_prompt_run_initial_prompt: "UPDATE run SET initial_prompt = 'r' WHERE id = $RUN1" => RunPrompt;
            run_seed_run_seed: "UPDATE run SET seed = 8 WHERE id = $RUN1" => RunSeed;
            run_number_run_run_number: "UPDATE run SET run_number = 1 WHERE id = $RUN1" => RunNumber;
            run_max_length_run_max_length: "UPDATE run SET max_length = 4 WHERE id = $RUN1" => RunMaxLength;
            // Invocations.
            sequence_gap_invocation_deleted: "DELETE FROM invocation WHERE id = $STEP1" => SequenceGap;
            beyond_max_length_invocation_sequence_number: "UPDATE invocation SET sequence_number = 5 WHERE id = $STEP2" => BeyondMaxLength;
            input_link_invocation_input_invocation_id_step0_of_step2: "UPDATE invocation SET input_invocation_id = $STEP0 WHERE id = $STEP2" => InputLink;
            input_link_invocation_input_invocation_id_null: "UPDATE invocation SET input_invocation_id = NULL WHERE id = $STEP2" => InputLink;
            input_link_invocation_input_invocation_id_step1_of_step0: "UPDATE invocation SET input_invocation_id = $STEP1 WHERE id = $STEP0" => InputLink;
            output_missing_invocation_output_text_null: "UPDATE invocation SET output_text = NULL WHERE id = $STEP1" => OutputMissing;
            output_both_invocation_output_text: "UPDATE invocation SET output_text = '' WHERE id = $STEP0" => OutputBoth;
            output_type_invocation_type: "UPDATE invocation SET type = 'image' WHERE id = $STEP1" => OutputType;
            model_not_in_network_invocation_model: "UPDATE invocation SET model = 'Reader' WHERE id = $STEP1" => ModelNotInNetwork;
            seed_not_recorded_invocation_seed: "UPDATE invocation SET seed = -1 WHERE id = $STEP1" => SeedNotRecorded;
            seed_differs_invocation_seed: "UPDATE invocation SET seed = 8 WHERE id = $STEP1" => SeedDiffers;
            // Model versions.
            model_version_kind_invocation_model_version_id_reader_of_step1: "UPDATE invocation SET model_version_id = $READER WHERE id = $STEP1" => ModelVersionKind;
            model_version_kind_invocation_model_version_id_painter_of_step1: "UPDATE invocation SET model_version_id = $PAINTER WHERE id = $STEP1" => ModelVersionKind;
            model_version_kind_embedding_model_version_id: "UPDATE embedding SET model_version_id = $WRITER WHERE id = $VECTOR1" => ModelVersionKind;
            model_version_name_model_version_name: "UPDATE model_version SET name = 'Other' WHERE id = $WRITER" => ModelVersionName;
            model_version_name_embedding_embedding_model: "UPDATE embedding SET embedding_model = 'Other' WHERE id = $VECTOR1" => ModelVersionName;
            // Pictures.
            image_hash_image_hash: "UPDATE image SET hash = zeroblob(32) WHERE rowid = 1" => ImageHash;
            image_unreadable_one_byte: "UPDATE image SET bytes = x'00'" => ImageUnreadable;
            image_unreadable_no_byte: "UPDATE image SET bytes = x''" => ImageUnreadable;
            image_pixel_hash_image_pixel_hash: "UPDATE image SET pixel_hash = zeroblob(32)" => ImagePixelHash;
            image_size_image_width: "UPDATE image SET width = 2, height = 4" => ImageSize;
            // Embeddings.
            vector_length_three_bytes: "UPDATE embedding SET vector = x'000000'" => VectorLength;
            vector_length_no_byte: "UPDATE embedding SET vector = x''" => VectorLength;
            vector_not_finite_nan: "UPDATE embedding SET vector = x'0000803f0000c07f0000803f'" => VectorNotFinite;
            vector_not_finite_infinity: "UPDATE embedding SET vector = x'0000803f000080ff0000803f'" => VectorNotFinite;
            vector_all_zero_embedding_vector: "UPDATE embedding SET vector = x'000000000000008000000000'" => VectorAllZero;
            vector_dimension_embedding_vector: "UPDATE embedding SET vector = x'0000803f' WHERE id = $VECTOR2" => VectorDimension;
            embedding_modality_embedding_invocation_id: "UPDATE embedding SET invocation_id = $STEP0 WHERE id = $VECTOR1" => EmbeddingModality;
            // Clusterings.
            clustering_empty_embedding_cluster_deleted: "DELETE FROM embedding_cluster" => ClusteringEmpty;
            cluster_member_model_clustering_result_embedding_model: "UPDATE clustering_result SET embedding_model = 'Other'" => ClusterMemberModel;
            medoid_not_member_embedding_cluster_deleted: "DELETE FROM embedding_cluster WHERE embedding_id = $VECTOR1" => MedoidNotMember;
            medoid_elsewhere_embedding_cluster_medoid_embedding_id_null: "UPDATE embedding_cluster SET medoid_embedding_id = NULL WHERE embedding_id = $VECTOR1" => MedoidElsewhere;
            medoid_elsewhere_embedding_cluster_medoid_embedding_id: "UPDATE embedding_cluster SET medoid_embedding_id = $VECTOR2 WHERE embedding_id = $VECTOR1" => MedoidElsewhere;
            // Failures.
            failure_run_inserted: "INSERT INTO experiment SELECT $NOWHERE, 'other', networks, prompts, seeds, embedding_models, max_length, config, origin, \
         created_at, NULL, NULL FROM experiment; \
         INSERT INTO failure VALUES ($NOWHERE, $NOWHERE, $RUN1, 'run', 'Writer #1', 1, 'no', 1)" => FailureRun;
        }
    };
}
pub(crate) use violations;

macro_rules! list {
    ($($name:ident: $sql:literal => $kind:ident;)*) => {
        pub(crate) const VIOLATIONS: &[(&str, FindingKind)] = &[$(($sql, $kind)),*];
    };
}
violations!(list);

macro_rules! found {
    ($($name:ident: $sql:literal => $kind:ident;)*) => {
        /// Each violation is found, one test for each.
        mod found {
            use super::*;
            $(
                #[test]
                fn $name() {
                    plants(&Database::new(SHORT), $sql, Severity::Violation, $kind);
                }
            )*
        }
    };
}
violations!(found);

macro_rules! noted {
    ($($name:ident: $sql:literal => $kind:ident;)*) => {
        /// Each note is told, one test for each.
        mod noted {
            use super::*;
            $(
                #[test]
                fn $name() {
                    plants(&Database::new(SHORT), $sql, Severity::Note, $kind);
                }
            )*
        }
    };
}

noted! {
    not_marked_completed: "UPDATE experiment SET completed_at = NULL" => NotMarkedCompleted;
    determinism_unknown: "UPDATE model_version SET determinism = 'unknown' WHERE id = $READER" => DeterminismUnknown;
    image_format_unknown: "UPDATE image SET format = 'gif'" => ImageFormatUnknown;
    image_unreferenced: "INSERT INTO image SELECT zeroblob(32), pixel_hash, format, width, height, bytes FROM image LIMIT 1" => ImageUnreferenced;
    embedding_model_not_asked_for: "UPDATE experiment SET embedding_models = '[\"Other\"]'" => EmbeddingModelNotAskedFor;
    embedder_kind_unknown: "UPDATE experiment SET embedding_models = '[\"Other\"]'" => EmbedderKindUnknown;
    failure_unresolved_run: "INSERT INTO failure VALUES ($NOWHERE, $EXPERIMENT, $RUN1, 'run', 'Painter #4', 1, 'no memory', 1)" => FailureUnresolved;
    failures_resolved_run: "INSERT INTO failure VALUES ($NOWHERE, $EXPERIMENT, $RUN1, 'run', 'Writer #1', 1, 'busy', 1)" => FailuresResolved;
    failures_resolved_embedding: "INSERT INTO failure VALUES ($NOWHERE, $EXPERIMENT, $RUN1, 'embedding', 'Reader #1', 1, 'busy', 1)" => FailuresResolved;
    failure_unresolved_diagram: "INSERT INTO failure VALUES ($NOWHERE, $EXPERIMENT, $RUN1, 'diagram', 'Reader', 1, 'no memory', 1)" => FailureUnresolved;
    failures_resolved_clustering: "INSERT INTO failure VALUES ($NOWHERE, $EXPERIMENT, NULL, 'clustering', 'Reader', 1, 'no memory', 1)" => FailuresResolved;
    // The picture at number 2 is the one at number 0, and there the run should have ended.
    steps_after_cycle: "UPDATE experiment SET max_length = 4; UPDATE run SET max_length = 4; \
         UPDATE invocation SET output_image = (SELECT output_image FROM invocation WHERE id = $STEP0) WHERE id = $STEP2; \
         INSERT INTO invocation SELECT $NOWHERE, run_id, 3, $STEP2, model, model_version_id, type, seed, started_at, \
         completed_at, output_text, output_image FROM invocation WHERE id = $STEP1" => StepsAfterCycle;
}

#[test]
fn what_broke_off_in_an_imported_experiment_is_a_note() {
    let history = [
        ("UPDATE experiment SET started_at = NULL", NotStartedWithInvocations),
        ("UPDATE run SET max_length = 2 WHERE id = $RUN1", RunMaxLength),
        ("DELETE FROM invocation WHERE id = $STEP2", CompletedThoughIncomplete),
        ("UPDATE invocation SET seed = 8 WHERE id = $STEP1", SeedDiffers),
    ];
    for (sql, kind) in history {
        plants(&Database::new(Shape { origin: Origin::Legacy, ..SHORT }), sql, Severity::Note, kind);
    }
    let database = Database::new(Shape { origin: Origin::Legacy, ..SHORT });
    database.spoil("UPDATE invocation SET seed = -1, completed_at = NULL; UPDATE embedding SET completed_at = NULL");
    assert!(database.examine().1.is_empty(), "imported rows may lack these");
}

#[test]
fn a_schema_that_is_not_ours_is_told_apart() {
    let altered = [
        ("DROP INDEX invocation_by_image", Severity::Violation, SchemaMissing),
        ("DROP TRIGGER embedding_modality", Severity::Violation, SchemaMissing),
        ("DROP VIEW v_run", Severity::Violation, SchemaMissing),
        ("DROP TABLE failure", Severity::Violation, SchemaMissing),
        ("DROP TABLE failure", Severity::Violation, Unreadable),
        ("ALTER TABLE image ADD COLUMN note TEXT", Severity::Violation, SchemaDiffers),
        ("CREATE TABLE mine (x)", Severity::Note, SchemaUnknown),
        ("CREATE INDEX mine ON run (seed)", Severity::Note, SchemaUnknown),
    ];
    for (sql, severity, kind) in altered {
        let database = Database::new(SHORT);
        database.alter(sql);
        finds(&database, severity, kind, sql);
    }
}

#[test]
fn rows_that_a_rebuilt_table_has_twice_are_found() {
    let database = Database::new(SHORT);
    database.alter(
        "PRAGMA legacy_alter_table = ON; CREATE TABLE copy (id BLOB, run_id BLOB, sequence_number INTEGER, input_invocation_id BLOB, model TEXT, \
         model_version_id BLOB, type TEXT, seed INTEGER, started_at INTEGER, completed_at INTEGER, output_text TEXT, \
         output_image BLOB, previous_number INTEGER); \
         INSERT INTO copy SELECT * FROM invocation; \
         INSERT INTO copy SELECT * FROM copy WHERE id = $STEP1; \
         DROP TABLE invocation; ALTER TABLE copy RENAME TO invocation",
    );
    finds(&database, Severity::Violation, Duplicate, "a step twice");
    finds(&database, Severity::Violation, SequenceDuplicate, "a step twice");
    finds(&database, Severity::Violation, SchemaDiffers, "a step twice");
}

#[test]
fn all_at_once_are_found_in_one_pass() {
    let database = Database::new(SHORT);
    database.spoil(
        "UPDATE embedding SET vector = x'0000c07f' WHERE id = $VECTOR1; \
         UPDATE image SET pixel_hash = zeroblob(32); \
         UPDATE invocation SET seed = -1, completed_at = NULL WHERE id = $STEP1; \
         UPDATE run SET max_length = 9 WHERE id = $RUN2; \
         UPDATE experiment SET config = 'no'; \
         UPDATE embedding_cluster SET probability = 2.0; \
         DELETE FROM model_version WHERE id = $WRITER",
    );
    let (diagnosis, findings) = database.examine();
    let expected = [
        VectorNotFinite,
        VectorDimension,
        ImagePixelHash,
        SeedNotRecorded,
        CompletedAtMissing,
        RunMaxLength,
        JsonInvalid,
        OutOfRange,
        ModelVersionMissing,
        ForeignKey,
        RunUnfinished,
        CompletedThoughIncomplete,
    ];
    for kind in expected {
        assert!(findings.iter().any(|finding| finding.kind == kind), "no {kind} among {findings:#?}");
    }
    assert_eq!(findings.len() as u64, diagnosis.counts.values().flat_map(|kinds| kinds.values()).sum::<u64>());
    let vector = findings.iter().find(|finding| finding.kind == VectorNotFinite).unwrap();
    assert_eq!(vector.object, "embedding 01000001");
    assert_eq!(vector.id.as_deref(), Some("05000000-0000-0000-0000-000001000001"));
    assert_eq!(vector.experiment.as_deref(), Some("01000000-0000-0000-0000-000000000001"));
    assert_eq!(vector.defect, "expected finite numbers, got NaN at index 0");
}

#[test]
fn one_experiment_is_looked_at_alone() {
    let database = Database::new(SHORT);
    database.spoil(
        "INSERT INTO experiment SELECT $NOWHERE, 'other', networks, prompts, seeds, embedding_models, max_length, 'no', origin, \
         created_at, NULL, NULL FROM experiment",
    );
    let own = DoctorOptions { experiment: Some(ExperimentId::from_bytes(id(EXPERIMENT, 0, 1))), decode_images: true };
    let (diagnosis, findings) = database.examine_with(&own);
    assert!(findings.is_empty(), "{findings:#?}");
    for (table, count) in [("experiment", 1), ("run", 2), ("invocation", 6), ("embedding", 2), ("image", 4)] {
        assert_eq!(diagnosis.checked[table], count, "{table}");
    }
    for (table, count) in [("model_version", 3), ("clustering_result", 1), ("embedding_cluster", 2), ("failure", 0)] {
        assert_eq!(diagnosis.checked[table], count, "{table}");
    }
    let other = DoctorOptions { experiment: Some(ExperimentId::from_bytes(id(0xff, 0, 0))), decode_images: false };
    let kinds: Vec<FindingKind> = database.examine_with(&other).1.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [JsonInvalid, RunMissing]);
    let nobody = DoctorOptions { experiment: Some(ExperimentId::from_bytes([9; 16])), decode_images: false };
    assert!(try_examine(&database.path, &nobody).unwrap_err().contains("no experiment matches"));
}
