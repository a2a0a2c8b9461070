//! A SQLite file layer that stands between the store and the system's: it keeps a diary of what reaches the disk, in
//! order, and it can fail at any call.
//!
//! It is named, and a store is opened with it by name, so that nothing else in the process notices. Every call is passed
//! on to the system's layer; the diary has the call *before* it is passed on, so that a sync covers no more than what was
//! written before it began. Syncs of folders happen inside the system's layer and are seen at its own call for opening
//! the folder, which SQLite lets us replace.
//!
//! The memory that connections share (the log's index) is passed on and not in the diary: it does not survive.
#![expect(
    unsafe_code,
    reason = "SQLite's file layer is an interface of C function pointers; a test needs one of its own"
)]

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use rusqlite::ffi;

use crate::faults::{FileKind, Operation, StoreFaults, When};

/// Something that reached the disk's queue, or that somebody was told.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Create { file: usize, path: PathBuf },
    Write { file: usize, offset: u64, bytes: Vec<u8> },
    Truncate { file: usize, length: u64 },
    Sync { file: usize },
    SyncFolder,
    Delete { path: PathBuf },
}

/// What happened, in order, and which file a path names now.
#[derive(Default)]
pub(crate) struct Diary {
    pub(crate) entries: Vec<Entry>,
    names: BTreeMap<PathBuf, usize>,
    files: usize,
}

/// How the disk treats what it is asked to sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obedience {
    Honest,
    /// Says that it synced and did not: what `synchronous=OFF` comes to.
    NeverSyncs,
    /// Syncs the log only for a checkpoint: what `synchronous=NORMAL` comes to.
    SyncsLogForCheckpoints,
}

/// What one registered layer knows; it lives as long as the process, because SQLite may call it as long.
pub(crate) struct Layer {
    pub(crate) diary: Mutex<Diary>,
    pub(crate) faults: Mutex<StoreFaults>,
    keeps_diary: bool,
    obedience: Obedience,
    /// Somebody holds the lock for carrying the log over.
    checkpointing: AtomicBool,
    /// The last connection closes: it carries the log over with the whole file locked, and takes no other lock for it.
    closing: AtomicBool,
    folder: PathBuf,
    base: *mut ffi::sqlite3_vfs,
    name: CString,
}

// SAFETY: `base` is SQLite's own static layer, which any thread may use; everything else is behind locks.
unsafe impl Send for Layer {}
// SAFETY: as above.
unsafe impl Sync for Layer {}

/// An open file of ours; the system's own follows it in memory.
#[repr(C)]
struct File {
    methods: *const ffi::sqlite3_io_methods,
    layer: *const Layer,
    /// Which file of the diary; `usize::MAX` for one without a name.
    file: usize,
    kind: FileKind,
}

/// Room before the system's file: a multiple of every alignment that it may need.
const HEAD: usize = size_of::<File>().next_multiple_of(16);
const NO_NAME: usize = usize::MAX;
/// The lock that whoever carries the log over holds (`WAL_CKPT_LOCK` in the description of SQLite's log).
const CHECKPOINT_LOCK: c_int = 1;

impl Layer {
    /// Registers a layer for the files in `folder`, and returns it.
    pub(crate) fn register(folder: &Path, keeps_diary: bool, obedience: Obedience) -> Arc<Self> {
        watch_folders();
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = CString::new(format!("watched-{number}")).unwrap();
        // SAFETY: SQLite returns its default layer, which is never freed.
        let base = unsafe { ffi::sqlite3_vfs_find(std::ptr::null()) };
        assert!(!base.is_null());
        let layer = Arc::new(Self {
            diary: Mutex::default(),
            faults: Mutex::default(),
            keeps_diary,
            obedience,
            checkpointing: false.into(),
            closing: false.into(),
            folder: folder.canonicalize().unwrap(),
            base,
            name,
        });
        // SAFETY: `base` is valid; a copy of its callbacks is changed where they take files of ours.
        let mut vfs = unsafe { *base };
        vfs.iVersion = 2;
        vfs.szOsFile += c_int::try_from(HEAD).unwrap();
        vfs.pNext = std::ptr::null_mut();
        vfs.zName = layer.name.as_ptr();
        vfs.pAppData = Arc::into_raw(Arc::clone(&layer)).cast_mut().cast(); // Never given back: SQLite keeps it.
        vfs.xOpen = Some(open);
        vfs.xDelete = Some(delete);
        vfs.xAccess = Some(access);
        vfs.xFullPathname = Some(full_path);
        vfs.xRandomness = Some(randomness);
        vfs.xSleep = Some(sleep);
        vfs.xCurrentTime = Some(time);
        vfs.xGetLastError = Some(last_error);
        vfs.xCurrentTimeInt64 = Some(time64);
        // SAFETY: the structure and all that it points to live for ever.
        let rc = unsafe { ffi::sqlite3_vfs_register(Box::into_raw(Box::new(vfs)), 0) };
        assert_eq!(rc, ffi::SQLITE_OK);
        folders().lock().unwrap().insert(layer.folder.clone(), Arc::clone(&layer));
        layer
    }

    pub(crate) fn name(&self) -> String {
        self.name.to_str().unwrap().to_owned()
    }

    /// Lets go of what was written down; the layer itself stays, because SQLite has it.
    pub(crate) fn retire(&self) {
        *self.diary.lock().unwrap() = Diary::default();
        folders().lock().unwrap().remove(&self.folder);
    }

    fn note(&self, entry: impl FnOnce(&mut Diary) -> Option<Entry>) {
        if self.keeps_diary {
            let mut diary = self.diary.lock().unwrap();
            if let Some(entry) = entry(&mut diary) {
                diary.entries.push(entry);
            }
        }
    }

    fn fails(&self, operation: Operation, kind: FileKind) -> Option<(When, c_int)> {
        self.faults.lock().unwrap().meet(operation, kind)
    }
}

type Folders = Mutex<BTreeMap<PathBuf, Arc<Layer>>>;

fn folders() -> &'static Folders {
    static FOLDERS: OnceLock<Folders> = OnceLock::new();
    FOLDERS.get_or_init(Folders::default)
}

type OpenDirectory = unsafe extern "C" fn(*const c_char, *mut c_int) -> c_int;
static OPEN_DIRECTORY: OnceLock<OpenDirectory> = OnceLock::new();

/// Puts ourselves where the system's layer opens a folder in order to sync it.
fn watch_folders() {
    OPEN_DIRECTORY.get_or_init(|| {
        // SAFETY: the default layer has these two calls; the pointer is the one to its function of this very type.
        unsafe {
            let base = ffi::sqlite3_vfs_find(std::ptr::null());
            let original = ((*base).xGetSystemCall.unwrap())(base, c"openDirectory".as_ptr()).unwrap();
            let ours: unsafe extern "C" fn() = std::mem::transmute(open_directory as OpenDirectory);
            ((*base).xSetSystemCall.unwrap())(base, c"openDirectory".as_ptr(), Some(ours));
            std::mem::transmute::<unsafe extern "C" fn(), OpenDirectory>(original)
        }
    });
}

unsafe extern "C" fn open_directory(file: *const c_char, descriptor: *mut c_int) -> c_int {
    // SAFETY: SQLite gives a path that ends with NUL, and a place for the answer.
    unsafe {
        let folder = path_of(file).and_then(|path| path.parent().map(Path::to_owned));
        let layer = folder.and_then(|folder| folders().lock().unwrap().get(&folder).cloned());
        if let Some(layer) = layer.filter(|layer| layer.obedience != Obedience::NeverSyncs) {
            layer.note(|_| Some(Entry::SyncFolder));
        }
        OPEN_DIRECTORY.wait()(file, descriptor)
    }
}

/// # Safety
///
/// `name` is null or ends with NUL.
unsafe fn path_of(name: *const c_char) -> Option<PathBuf> {
    // SAFETY: as asked of the caller.
    (!name.is_null()).then(|| unsafe { PathBuf::from(std::ffi::OsStr::from_bytes(CStr::from_ptr(name).to_bytes())) })
}

/// # Safety
///
/// `vfs` is one that `register` made.
unsafe fn layer_of<'a>(vfs: *mut ffi::sqlite3_vfs) -> &'a Layer {
    // SAFETY: its data is a layer that is never freed.
    unsafe { &*(*vfs).pAppData.cast::<Layer>() }
}

/// # Safety
///
/// `file` is one that `open` filled in.
unsafe fn parts<'a>(file: *mut ffi::sqlite3_file) -> (&'a Layer, &'a File, *mut ffi::sqlite3_file) {
    // SAFETY: `open` wrote the head, and the system's file follows it.
    unsafe {
        let head = &*file.cast::<File>();
        (&*head.layer, head, file.cast::<u8>().add(HEAD).cast())
    }
}

/// Calls a method of the system's file.
macro_rules! pass {
    ($base:expr, $method:ident $(, $argument:expr)*) => {
        ((*(*$base).pMethods).$method.unwrap())($base $(, $argument)*)
    };
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives a file of the size that we asked for, and a name that lives as long as it is open.
    unsafe {
        let layer = layer_of(vfs);
        (*file).pMethods = std::ptr::null();
        let kind = FileKind::of_flags(flags);
        if let Some((_, code)) = layer.fails(Operation::Open, kind) {
            return code;
        }
        let base: *mut ffi::sqlite3_file = file.cast::<u8>().add(HEAD).cast();
        let path = path_of(name);
        let existed = path.as_ref().is_some_and(|path| path.exists());
        let rc = ((*layer.base).xOpen.unwrap())(layer.base, name, base, flags, out_flags);
        if rc != ffi::SQLITE_OK {
            return rc;
        }
        let mut number = NO_NAME;
        if let Some(path) = path {
            layer.note(|diary| {
                if let (Some(&known), true) = (diary.names.get(&path), existed) {
                    number = known;
                    return None;
                }
                number = diary.files;
                diary.files += 1;
                diary.names.insert(path.clone(), number);
                Some(Entry::Create { file: number, path })
            });
        }
        file.cast::<File>().write(File { methods: &METHODS, layer, file: number, kind });
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync_folder: c_int) -> c_int {
    // SAFETY: as SQLite promises: a path that ends with NUL.
    unsafe {
        let layer = layer_of(vfs);
        let kind = FileKind::of_path(path_of(name).as_deref());
        if let Some((_, code)) = layer.fails(Operation::Delete, kind) {
            return code;
        }
        if let Some(path) = path_of(name).filter(|path| path.exists()) {
            layer.note(|diary| diary.names.remove(&path).map(|_| Entry::Delete { path }));
        }
        ((*layer.base).xDelete.unwrap())(layer.base, name, sync_folder)
    }
}

unsafe extern "C" fn access(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, flags: c_int, out: *mut c_int) -> c_int {
    // SAFETY: as SQLite promises.
    unsafe {
        let layer = layer_of(vfs);
        match layer.fails(Operation::Access, FileKind::of_path(path_of(name).as_deref())) {
            Some((_, code)) => code,
            None => ((*layer.base).xAccess.unwrap())(layer.base, name, flags, out),
        }
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: `file` is ours.
    unsafe { pass!(parts(file).2, xClose) }
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, into: *mut c_void, count: c_int, at: i64) -> c_int {
    // SAFETY: `file` is ours, and `into` has room for `count` bytes.
    unsafe {
        let (layer, head, base) = parts(file);
        match layer.fails(Operation::Read, head.kind) {
            Some((_, code)) => code,
            None => pass!(base, xRead, into, count, at),
        }
    }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, from: *const c_void, count: c_int, at: i64) -> c_int {
    // SAFETY: `file` is ours, and `from` holds `count` bytes.
    unsafe {
        let (layer, head, base) = parts(file);
        match layer.fails(Operation::Write, head.kind) {
            Some((When::Before, code)) => return code,
            // Torn: the first half is there, and the call fails.
            Some((When::Midway, code)) => {
                pass!(base, xWrite, from, count / 2, at);
                return code;
            }
            Some((When::After, code)) => {
                pass!(base, xWrite, from, count, at);
                return code;
            }
            None => {}
        }
        if head.file != NO_NAME {
            let bytes = std::slice::from_raw_parts(from.cast::<u8>(), usize::try_from(count).unwrap());
            let offset = u64::try_from(at).unwrap();
            layer.note(|_| Some(Entry::Write { file: head.file, offset, bytes: bytes.to_vec() }));
        }
        pass!(base, xWrite, from, count, at)
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, length: i64) -> c_int {
    // SAFETY: `file` is ours.
    unsafe {
        let (layer, head, base) = parts(file);
        if let Some((_, code)) = layer.fails(Operation::Truncate, head.kind) {
            return code;
        }
        if head.file != NO_NAME {
            layer.note(|_| Some(Entry::Truncate { file: head.file, length: u64::try_from(length).unwrap() }));
        }
        pass!(base, xTruncate, length)
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: `file` is ours.
    unsafe {
        let (layer, head, base) = parts(file);
        let failure = layer.fails(Operation::Sync, head.kind);
        if let Some((When::Before, code)) = failure {
            return code;
        }
        let is_synced = match layer.obedience {
            Obedience::Honest => true,
            Obedience::NeverSyncs => false,
            Obedience::SyncsLogForCheckpoints => {
                head.kind != FileKind::Log
                    || layer.checkpointing.load(Ordering::SeqCst)
                    || layer.closing.load(Ordering::SeqCst)
            }
        };
        if is_synced && head.file != NO_NAME {
            layer.note(|_| Some(Entry::Sync { file: head.file }));
        }
        let rc = pass!(base, xSync, flags);
        failure.map_or(rc, |(_, code)| code)
    }
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, out: *mut i64) -> c_int {
    // SAFETY: `file` is ours.
    unsafe {
        let (layer, head, base) = parts(file);
        match layer.fails(Operation::FileSize, head.kind) {
            Some((_, code)) => code,
            None => pass!(base, xFileSize, out),
        }
    }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: `file` is ours.
    unsafe {
        let (layer, head, base) = parts(file);
        if let Some((_, code)) = layer.fails(Operation::Lock, head.kind) {
            return code;
        }
        let rc = pass!(base, xLock, level);
        if level == ffi::SQLITE_LOCK_EXCLUSIVE && rc == ffi::SQLITE_OK {
            layer.closing.store(true, Ordering::SeqCst);
        }
        rc
    }
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: `file` is ours.
    unsafe {
        let (layer, _, base) = parts(file);
        layer.closing.store(false, Ordering::SeqCst);
        pass!(base, xUnlock, level)
    }
}

unsafe extern "C" fn check_reserved(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: `file` is ours.
    unsafe { pass!(parts(file).2, xCheckReservedLock, out) }
}

unsafe extern "C" fn control(file: *mut ffi::sqlite3_file, operation: c_int, argument: *mut c_void) -> c_int {
    // SAFETY: `file` is ours.
    unsafe { pass!(parts(file).2, xFileControl, operation, argument) }
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: `file` is ours.
    unsafe { pass!(parts(file).2, xSectorSize) }
}

unsafe extern "C" fn characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: `file` is ours. No disk here writes several pages at once or none.
    unsafe { pass!(parts(file).2, xDeviceCharacteristics) & !ffi::SQLITE_IOCAP_BATCH_ATOMIC }
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: `file` is ours.
    unsafe {
        let (layer, _, base) = parts(file);
        match layer.fails(Operation::SharedMap, FileKind::Index) {
            Some((_, code)) => code,
            None => pass!(base, xShmMap, page, size, extend, out),
        }
    }
}

unsafe extern "C" fn shm_lock(file: *mut ffi::sqlite3_file, offset: c_int, count: c_int, flags: c_int) -> c_int {
    // SAFETY: `file` is ours.
    unsafe {
        let (layer, _, base) = parts(file);
        // Giving a lock back never fails: SQLite does not look at what comes of it.
        let is_taking = flags & ffi::SQLITE_SHM_LOCK != 0;
        if let Some((_, code)) = is_taking.then(|| layer.fails(Operation::SharedLock, FileKind::Index)).flatten() {
            return code;
        }
        let rc = pass!(base, xShmLock, offset, count, flags);
        if offset == CHECKPOINT_LOCK && rc == ffi::SQLITE_OK {
            layer.checkpointing.store(is_taking, Ordering::SeqCst);
        }
        rc
    }
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    // SAFETY: `file` is ours.
    unsafe { pass!(parts(file).2, xShmBarrier) }
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    // SAFETY: `file` is ours.
    unsafe { pass!(parts(file).2, xShmUnmap, delete) }
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved),
    xFileControl: Some(control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

// The calls below take the layer itself, and the system's wants its own.

unsafe extern "C" fn full_path(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    room: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: passed on as it came.
    unsafe { ((*layer_of(vfs).base).xFullPathname.unwrap())(layer_of(vfs).base, name, room, out) }
}

unsafe extern "C" fn randomness(vfs: *mut ffi::sqlite3_vfs, count: c_int, out: *mut c_char) -> c_int {
    // SAFETY: passed on as it came.
    unsafe { ((*layer_of(vfs).base).xRandomness.unwrap())(layer_of(vfs).base, count, out) }
}

unsafe extern "C" fn sleep(vfs: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    // SAFETY: passed on as it came.
    unsafe { ((*layer_of(vfs).base).xSleep.unwrap())(layer_of(vfs).base, microseconds) }
}

unsafe extern "C" fn time(vfs: *mut ffi::sqlite3_vfs, out: *mut f64) -> c_int {
    // SAFETY: passed on as it came.
    unsafe { ((*layer_of(vfs).base).xCurrentTime.unwrap())(layer_of(vfs).base, out) }
}

unsafe extern "C" fn time64(vfs: *mut ffi::sqlite3_vfs, out: *mut i64) -> c_int {
    // SAFETY: passed on as it came.
    unsafe { ((*layer_of(vfs).base).xCurrentTimeInt64.unwrap())(layer_of(vfs).base, out) }
}

unsafe extern "C" fn last_error(vfs: *mut ffi::sqlite3_vfs, room: c_int, out: *mut c_char) -> c_int {
    // SAFETY: passed on as it came.
    unsafe { ((*layer_of(vfs).base).xGetLastError.unwrap())(layer_of(vfs).base, room, out) }
}
