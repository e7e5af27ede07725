"""Settings: where each value comes from, and what is told of one that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from zscrape import config
from zscrape.config import SettingError, load
from zscrape.messages import CATALOGUE, placeholders, text
from zscrape.model import SiteBudget


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, so that no settings file lies about."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    """A path for a settings file."""
    return tmp_path / "some" / "settings.toml"


def write(path: Path, content: str) -> Path:
    """Make a file with this content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def environ(tmp_path: Path, **more: str) -> dict[str, str]:
    """Return an environment with a user's folder of its own."""
    return {"HOME": str(tmp_path / "user"), **more}


# ---- sources -------------------------------------------------------------------------


def test_defaults_are_the_contract_s(tmp_path: Path) -> None:
    """With nothing given, addresses, limits and folders are those of the contract."""
    settings = load(environ=environ(tmp_path))

    assert settings.gateway.http == "127.0.0.1:8000"
    assert settings.gateway.link == settings.worker.join == "tcp://127.0.0.1:5555"
    assert settings.gateway.body_limit_bytes == 1024**2
    assert settings.script_timeout_s == 300
    assert settings.script_memory_limit_bytes == 512_000_000
    assert settings.cache_max_age_h == 168
    assert settings.queue.limit_count == 100_000
    assert settings.cache_dir == settings.home / "cache"
    assert settings.repositories[0].url == str(settings.home / "scripts")
    assert set(settings.sources.values()) == {"default"}


def test_flag_beats_environment_beats_file_beats_default(
    tmp_path: Path, settings_file: Path
) -> None:
    """Each source is stronger than the next, and `sources` names the one that won."""
    write(settings_file, '[gateway]\nhttp = "127.0.0.1:1"\nlink = "tcp://127.0.0.1:2"\n')
    with_environment = environ(tmp_path, ZSCRAPE_HTTP="127.0.0.1:3")

    by_file = load(environ=environ(tmp_path), file=settings_file)
    by_environment = load(environ=with_environment, file=settings_file)
    by_flag = load(
        flags={"gateway.http": "127.0.0.1:4"}, environ=with_environment, file=settings_file
    )

    assert by_file.gateway.http == "127.0.0.1:1"
    assert by_environment.gateway.http == "127.0.0.1:3"
    assert by_flag.gateway.http == "127.0.0.1:4"
    assert by_file.sources["gateway.http"] == f"{settings_file}: gateway.http"
    assert by_environment.sources["gateway.http"] == "ZSCRAPE_HTTP"
    assert by_flag.sources["gateway.http"] == "--http"
    assert by_flag.sources["gateway.link"] == f"{settings_file}: gateway.link"
    assert by_flag.sources["gateway.depth_limit"] == "default"


def test_flag_of_none_is_not_given(tmp_path: Path) -> None:
    """A flag that was not used leaves weaker sources in force."""
    settings = load(flags={"worker.slots": None}, environ=environ(tmp_path, ZSCRAPE_SLOTS="3"))

    assert settings.worker.slots == 3


def test_empty_environment_variable_is_unset(tmp_path: Path) -> None:
    """An empty variable, as compose files make them, changes nothing."""
    given = environ(tmp_path, ZSCRAPE_HTTP="", SCRIPT_REPOSITORY_URL="", ZSCRAPE_HOME="")

    settings = load(environ=given)

    assert settings.gateway.http == "127.0.0.1:8000"
    assert settings.sources["repositories"] == "default"


def test_texts_of_the_environment_become_typed_values(tmp_path: Path) -> None:
    """Numbers, booleans and lists are read from text."""
    given = environ(
        tmp_path,
        ZSCRAPE_SLOTS="7",
        ZSCRAPE_INSECURE="true",
        ZSCRAPE_TAGS=" kr, browser ,",
        ZSCRAPE_HEARTBEAT_INTERVAL_S="0.25",
        SCRIPT_CACHE_MAX_AGE="24",
        SCRIPT_MEMORY_LIMIT="1GiB",
        SCRIPT_CACHE_DIR="cache-here",
    )

    settings = load(environ=given)

    assert settings.worker.slots == 7
    assert settings.gateway.insecure is True
    assert settings.worker.tags == ("kr", "browser")
    assert settings.heartbeat.interval_s == 0.25
    assert settings.cache_max_age_h == 24
    assert settings.script_memory_limit_bytes == 1024**3
    assert settings.cache_dir == Path.cwd() / "cache-here"


def test_file_is_found_in_the_working_folder_then_at_home(tmp_path: Path) -> None:
    """`zscrape.toml` is read from the working folder, else from the home folder."""
    home = tmp_path / "home"
    write(home / "zscrape.toml", "schedule_timeout_s = 1\n")

    at_home = load(environ=environ(tmp_path, ZSCRAPE_HOME=str(home)))
    write(tmp_path / "zscrape.toml", "schedule_timeout_s = 2\n")
    here = load(environ=environ(tmp_path, ZSCRAPE_HOME=str(home)))

    assert at_home.schedule_timeout_s == 1
    assert here.schedule_timeout_s == 2


def test_environment_names_the_file(tmp_path: Path, settings_file: Path) -> None:
    """`ZSCRAPE_CONFIG` names the settings file."""
    write(settings_file, "schedule_timeout_s = 5\n")

    settings = load(environ=environ(tmp_path, ZSCRAPE_CONFIG=str(settings_file)))

    assert settings.schedule_timeout_s == 5


def test_paths_in_a_file_are_relative_to_it(tmp_path: Path, settings_file: Path) -> None:
    """A relative path means the same wherever the command is started."""
    content = 'home = "h"\ncache_dir = "../c"\n[[repositories]]\nurl = "my-scripts"\n'
    write(settings_file, content)

    settings = load(environ=environ(tmp_path), file=settings_file)

    assert settings.home == settings_file.parent / "h"
    assert settings.cache_dir == settings_file.parent / "../c"
    assert settings.repositories[0].url == str(settings_file.parent / "my-scripts")


@pytest.mark.parametrize(
    ("platform", "given", "expected"),
    [
        ("linux", {}, "user/.local/share/zscrape"),
        ("linux", {"XDG_DATA_HOME": "relative"}, "user/.local/share/zscrape"),
        ("darwin", {}, "user/Library/Application Support/zscrape"),
        ("win32", {}, "user/AppData/Local/zscrape"),
    ],
)
def test_home_is_the_platform_s_data_folder(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    platform: str,
    given: dict[str, str],
    expected: str,
) -> None:
    """Without a setting, the home folder is where the platform keeps a user's data."""
    monkeypatch.setattr("sys.platform", platform)

    home = config.default_home(environ(tmp_path, **given))

    assert home == tmp_path / expected


def test_xdg_data_home_is_obeyed(tmp_path: Path) -> None:
    """An absolute `XDG_DATA_HOME` holds the home folder on Linux."""
    home = config.default_home(environ(tmp_path, XDG_DATA_HOME="/data"))

    assert home == Path("/data/zscrape")


@pytest.mark.parametrize(
    ("given", "lang"),
    [
        ({}, "en"),
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LC_ALL": "C", "LANG": "ko_KR.UTF-8"}, "en"),
        ({"LANG": "ko_KR.UTF-8", "ZSCRAPE_LANG": "en"}, "en"),
    ],
)
def test_language_is_the_locale_s_unless_set(
    tmp_path: Path, given: dict[str, str], lang: str
) -> None:
    """A Korean locale is answered in Korean; a setting is stronger."""
    settings = load(environ=environ(tmp_path, **given))

    assert settings.lang == lang


# ---- repositories and scripts --------------------------------------------------------


def test_repositories_of_a_file_keep_their_order_and_names(
    tmp_path: Path, settings_file: Path
) -> None:
    """Repositories are looked up in the order of the file; one without a name gets one."""
    write(
        settings_file,
        '[[repositories]]\nurl = "/a"\nname = "team"\n[[repositories]]\ntype = "dir"\nurl = "/b"\n',
    )

    settings = load(environ=environ(tmp_path), file=settings_file)

    assert [(r.name, r.url) for r in settings.repositories] == [("team", "/a"), ("scripts2", "/b")]


def test_repository_of_the_environment_and_of_flags(tmp_path: Path) -> None:
    """The contract's names set one repository; flags give folders and are stronger."""
    given = environ(tmp_path, SCRIPT_REPOSITORY_TYPE="dir", SCRIPT_REPOSITORY_URL="/a")

    by_environment = load(environ=given)
    by_flag = load(flags={"repositories": (Path("/b"), Path("/c"))}, environ=given)

    assert [r.url for r in by_environment.repositories] == ["/a"]
    assert [r.url for r in by_flag.repositories] == ["/b", "/c"]
    assert by_flag.sources["repositories"] == "--scripts"


@pytest.mark.parametrize("url", ["file:///srv/my%20scripts", "file://localhost/srv/my%20scripts"])
def test_repository_may_be_given_as_a_file_url(tmp_path: Path, url: str) -> None:
    """A `file:` URL is the folder that it names."""
    settings = load(environ=environ(tmp_path, SCRIPT_REPOSITORY_URL=url))

    assert [r.url for r in settings.repositories] == ["/srv/my scripts"]


def test_repositories_behind_a_network(tmp_path: Path, settings_file: Path) -> None:
    """Each type has its own fields; a login in an address is taken out of it."""
    write(
        settings_file,
        '[[repositories]]\ntype = "git"\nurl = "https://ann:p%40ss@git.example.com/s.git"\n'
        'name = "a"\nbranch = "main"\n'
        '[[repositories]]\ntype = "git"\nurl = "git@git.example.com:team/s.git"\nname = "b"\n'
        'ssh_key = "id"\n'
        '[[repositories]]\ntype = "git"\nurl = "mirror.git"\nname = "c"\n'
        '[[repositories]]\ntype = "http"\nurl = "https://x.example.com"\ntoken = "t"\nname = "d"\n'
        '[[repositories]]\ntype = "s3"\nbucket = "b"\nprefix = "/s/"\nname = "e"\n',
    )

    a, b, c, d, e = load(environ=environ(tmp_path), file=settings_file).repositories

    assert (a.url, a.user, a.password, a.branch) == (
        "https://git.example.com/s.git",
        "ann",
        "p@ss",
        "main",
    )
    assert (b.url, b.ssh_key) == (
        "git@git.example.com:team/s.git",
        str(settings_file.parent / "id"),
    )
    assert c.url == (settings_file.parent / "mirror.git").as_uri()
    assert (d.url, d.token) == ("https://x.example.com", "t")
    assert (e.bucket, e.prefix) == ("b", "s/")


def test_names_of_the_contract_give_one_repository(tmp_path: Path) -> None:
    """What the type has no use for is left alone: one `.env` may serve several types."""
    names = {
        "S3_BUCKET_NAME": "b",
        "S3_REGION": "ap-northeast-2",
        "S3_ACCESS_KEY": "a",
        "S3_SECRET_KEY": "s",
        "S3_PREFIX": "scripts/",
        "S3_ENDPOINT_URL": "http://127.0.0.1:9000",
    }
    git = {"SCRIPT_REPOSITORY_TYPE": "git", "SCRIPT_REPOSITORY_URL": "https://g/s"}

    (by_bucket,) = load(environ=environ(tmp_path, **names)).repositories
    (by_type,) = load(
        environ=environ(tmp_path, **names, **git, SCRIPT_REPOSITORY_TOKEN="t")
    ).repositories

    assert (by_bucket.type, by_bucket.bucket, by_bucket.region) == ("s3", "b", "ap-northeast-2")
    assert by_bucket.endpoint_url == "http://127.0.0.1:9000"
    assert (by_type.type, by_type.url, by_type.token) == ("git", "https://g/s", "t")
    assert by_type.bucket == ""


@pytest.mark.parametrize(
    ("names", "source", "value"),
    [
        ({"SCRIPT_REPOSITORY_TYPE": "git"}, "SCRIPT_REPOSITORY_URL", "None"),
        (
            {"SCRIPT_REPOSITORY_TYPE": "http", "SCRIPT_REPOSITORY_URL": "file:///etc"},
            "SCRIPT_REPOSITORY_URL",
            "file:///etc",
        ),
        (
            {"SCRIPT_REPOSITORY_TYPE": "git", "SCRIPT_REPOSITORY_URL": "ftp://a:secret@b/c"},
            "SCRIPT_REPOSITORY_URL",
            "@b/c",
        ),
        ({"SCRIPT_REPOSITORY_TYPE": "s3"}, "S3_BUCKET_NAME", "None"),
        ({"S3_BUCKET_NAME": "b", "S3_ACCESS_KEY": "a"}, "S3_SECRET_KEY", ""),
        ({"S3_BUCKET_NAME": "b", "S3_ENDPOINT_URL": "host:1"}, "S3_ENDPOINT_URL", "host:1"),
    ],
)
def test_fault_of_a_repository_names_its_variable(
    tmp_path: Path, names: dict[str, str], source: str, value: str
) -> None:
    """An address that cannot be used is told without the password in it."""
    with pytest.raises(SettingError) as caught:
        load(environ=environ(tmp_path, **names))

    assert caught.value.source == source
    assert value in caught.value.value
    assert "secret" not in str(caught.value)


def test_lease_must_outlast_the_silence_that_it_covers(tmp_path: Path) -> None:
    """A lease that a slower heartbeat has overtaken is named, also where it is the default."""
    with pytest.raises(SettingError) as caught:
        load(environ=environ(tmp_path, ZSCRAPE_HEARTBEAT_INTERVAL_S="5"))

    assert caught.value.source == "heartbeat.lease_s"
    assert "> 15.0" in caught.value.expected


def test_lease_must_outlast_the_way_of_a_beat(tmp_path: Path) -> None:
    """A lease that no beat could renew before an attempt is ended for it is named."""
    names = {"INTERVAL_S": "4", "MISSED_COUNT": "1", "LEASE_S": "5.9"}
    with pytest.raises(SettingError) as caught:
        load(environ=environ(tmp_path, **{f"ZSCRAPE_HEARTBEAT_{k}": v for k, v in names.items()}))
    names["LEASE_S"] = "6"
    kept = load(
        environ=environ(tmp_path, **{f"ZSCRAPE_HEARTBEAT_{k}": v for k, v in names.items()})
    )

    assert (caught.value.value, caught.value.expected) == ("5.9", ">= 6.0 (interval_s * 1.5)")
    assert kept.heartbeat.lease_s == 6.0


def test_script_defaults_are_read(tmp_path: Path, settings_file: Path) -> None:
    """`[scripts.NAME]` gives one script its defaults."""
    write(
        settings_file,
        '[scripts.watch]\nversion = "^1"\ntimeout_s = 9\ntags = ["kr"]\n'
        "parameters = { pages = 2 }\n"
        'sites = { "Shop.example" = { rate = "30/min", gap = 0.5 }, "*" = { concurrency = 1 } }\n',
    )

    settings = load(environ=environ(tmp_path), file=settings_file)

    assert settings.scripts["watch"].version == "^1"
    assert settings.scripts["watch"].timeout_s == 9
    assert settings.scripts["watch"].tags == ("kr",)
    assert settings.scripts["watch"].parameters == {"pages": 2}
    assert settings.scripts["watch"].sites == {
        "shop.example": SiteBudget(rate_per_s=0.5, gap_s=0.5),
        "*": SiteBudget(concurrency_count=1),
    }


# ---- faults --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "fault", "value", "expected"),
    [
        ('[gateway]\nhtpp = "x"\n', "unknown", "gateway.htpp", "gateway.http"),
        ("http = 1\n", "unknown", "http", "gateway.http"),
        ("[gatway]\n", "unknown", "gatway", "gateway"),
        ("gateway = 3\n", "value", "3", "[gateway]"),
        ("[scripts.a]\ntimeout = 3\n", "unknown", "timeout", "timeout_s"),
        ("scripts = 3\n", "value", "3", "[scripts.NAME]"),
        ("[scripts]\na = 3\n", "value", "3", "[scripts.NAME]"),
        ("[scripts.a]\ntimeout_s = -3\n", "value", "-3.0", "> 0"),
        ("[scripts.a]\ntags = 3\n", "value", "3", "[text, ...]"),
        ("[scripts.a]\nsites = 3\n", "value", "3", '"example.com".rate'),
        ('[scripts.a.sites]\n"a b" = {}\n', "value", "a b", '"example.com".rate'),
        ('[scripts.a.sites."a.b"]\nrat = 3\n', "unknown", "rat", "rate"),
        ('[scripts.a.sites."a.b"]\nrate = "fast"\n', "value", "fast", "2/s"),
        ('[scripts.a.sites."a.b"]\nconcurrency = 0\n', "value", "0", "> 0"),
        ("[scripts.a]\nparameters = 3\n", "value", "3", "{ name = value }"),
        ("[worker]\nslots = 0\n", "value", "0", "> 0"),
        ("[worker]\nslots = true\n", "value", "True", "int"),
        ("[worker]\ngrace_s = -1\n", "value", "-1.0", ">= 0"),
        ('[worker]\nisolation = "jail"\n', "value", "jail", "fork, exec"),
        ('[worker]\nslots = "3"\n', "value", "3", "int"),
        ("[heartbeat]\ninterval_s = nan\n", "value", "nan", "a finite number"),
        ("[heartbeat]\ninterval_s = inf\n", "value", "inf", "a finite number"),
        ('script_memory_limit = "much"\n', "value", "much", "512MB, 1GiB, ..."),
        ('[gateway]\nhttp = "8000"\n', "value", "8000", "host:port"),
        ('[gateway]\nhttp = "a:99999"\n', "value", "a:99999", "host:port"),
        ('[gateway]\nhttp = "::1:80"\n', "value", "::1:80", "host:port"),
        ('[gateway]\nlink = "ipc://x"\n', "value", "ipc://x", "tcp://host:port"),
        ("home = 3\n", "value", "3", "path"),
        ("repositories = 3\n", "value", "3", "[[repositories]]"),
        ("repositories = [1]\n", "value", "1", "[[repositories]]"),
        ('repositories = ["file://other/a"]\n', "value", "file://other/a", "path"),
        ('repositories = ["https://other/a"]\n', "value", "https://other/a", "path"),
        ("[heartbeat]\nlease_s = 3\n", "value", "3.0", "> 3.0"),
        ("[[repositories]]\nurl = 3\n", "value", "3", "text"),
        ('[[repositories]]\nurl = ""\n', "value", "", "path"),
        ('[[repositories]]\nurl = "a"\ntyp = "x"\n', "unknown", "typ", "type"),
        ('[[repositories]]\ntype = "svn"\nurl = "a"\n', "repository_type", "svn", "dir"),
        ('[[repositories]]\nurl = "a"\ntoken = "t"\n', "repository_field", "token", "dir: url"),
        (
            '[[repositories]]\ntype = "http"\nurl = "https://x"\nredirect_allow = ["10.0.0.1/8"]\n',
            "value",
            "10.0.0.1/8",
            "[10.0.0.0/8, 192.168.1.5, ...]",
        ),
        ('[[repositories]]\nurl = "a"\nname = "../x"\n', "value", "../x", "letters"),
        (
            '[[repositories]]\nurl = "a"\n[[repositories]]\nurl = "b"\nname = "scripts"',
            "duplicate",
            "scripts",
            "",
        ),
        ("this is not toml", "toml", "", ""),
    ],
)
def test_fault_in_a_file_says_what_and_where(
    tmp_path: Path, settings_file: Path, content: str, fault: str, value: str, expected: str
) -> None:
    """A bad file is refused with its place, the value and what is expected, in both languages."""
    write(settings_file, content)

    with pytest.raises(SettingError) as caught:
        load(environ=environ(tmp_path), file=settings_file)

    error = caught.value
    assert error.fault == fault
    assert str(settings_file) in error.source
    assert value in error.value
    assert expected in error.expected
    assert error.code == "config_invalid"
    for lang in ("en", "ko"):
        told = text(error.text_key, lang, **error.fields)
        assert error.text_key in CATALOGUE
        assert not placeholders(told.replace("{ name = value }", ""))
        assert str(settings_file) in told


def test_missing_file_is_refused_when_it_was_named(tmp_path: Path) -> None:
    """A settings file that was asked for must be there."""
    with pytest.raises(SettingError, match="No such file") as caught:
        load(environ=environ(tmp_path), file=tmp_path / "none.toml")

    assert caught.value.fault == "file"


def test_fault_in_the_environment_names_the_variable(tmp_path: Path) -> None:
    """A bad value is told with the variable that holds it."""
    with pytest.raises(SettingError) as caught:
        load(environ=environ(tmp_path, ZSCRAPE_SLOTS="many"))

    assert caught.value.source == "ZSCRAPE_SLOTS"
    assert caught.value.value == "many"


def test_unsupported_repository_type_of_the_environment_names_it(tmp_path: Path) -> None:
    """A repository type that is not known is refused with those that are."""
    given = environ(tmp_path, SCRIPT_REPOSITORY_TYPE="svn", SCRIPT_REPOSITORY_URL="svn://b")

    with pytest.raises(SettingError) as caught:
        load(environ=given)

    assert caught.value.source == "SCRIPT_REPOSITORY_TYPE"
    assert caught.value.expected == "dir, git, http, s3"


def test_places_of_packages_are_addresses_or_absolute_paths(tmp_path: Path) -> None:
    """Where environments come from is said in full: no relative folder, no stray text."""
    links = "/srv/wheels, https://example.com/wheels/"
    good = environ(tmp_path, ZSCRAPE_INDEX_URL="https://u:p@example.com/", ZSCRAPE_FIND_LINKS=links)

    worker = load(environ=good).worker

    assert worker.index_url == "https://u:p@example.com/"
    assert worker.find_links == ("/srv/wheels", "https://example.com/wheels/")
    with pytest.raises(SettingError, match="ZSCRAPE_FIND_LINKS"):
        load(environ=environ(tmp_path, ZSCRAPE_FIND_LINKS="wheels"))
    with pytest.raises(SettingError) as caught:
        load(environ=environ(tmp_path, ZSCRAPE_INDEX_URL="ftp://u:secret-0@example.com/"))
    with pytest.raises(SettingError) as shown:
        load(environ=environ(tmp_path, ZSCRAPE_FIND_LINKS="https://u:secret-0@example.com/"))
    for error in (caught.value, shown.value):
        assert "secret-0" not in f"{error} {error.value}"


def test_secret_is_not_told_in_a_fault(tmp_path: Path, settings_file: Path) -> None:
    """A secret of the wrong type does not appear in the error."""
    write(settings_file, "[gateway]\napi_key = 12345678\n")

    with pytest.raises(SettingError) as caught:
        load(environ=environ(tmp_path), file=settings_file)

    assert "12345678" not in str(caught.value)


def test_unknown_variables_are_listed_with_the_nearest_name() -> None:
    """A variable with a slip in it can be told; known ones and others' are left alone."""
    given = {"ZSCRAPE_HTPP": "x", "ZSCRAPE_HTTP": "x", "ZSCRAPE_URL": "x", "PATH": "/bin"}

    found = config.unknown_environment(given)

    assert found == {"ZSCRAPE_HTPP": "ZSCRAPE_HTTP"}


# ---- values --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "size_bytes"),
    [
        ("512MB", 512_000_000),
        ("1 GiB", 1024**3),
        ("7", 7),
        ("3kb", 3000),
        ("2KiB", 2048),
        ("1.5GiB", 1_610_612_736),
    ],
)
def test_size_is_read_with_its_unit(size: str, size_bytes: int) -> None:
    """Decimal and binary units are told apart."""
    assert config.parse_size(size) == size_bytes


@pytest.mark.parametrize(
    "size", ["", "MB", "0", "0.0GB", "0.4B", "-1MB", "1iB", "1TB", "1.GB", "9000000GB", "٣MB"]
)
def test_what_is_no_size_is_refused(size: str) -> None:
    """What is not a number with a known unit, nothing at all, or beyond all sense is refused."""
    with pytest.raises(ValueError, match="not a size"):
        config.parse_size(size)


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("127.9.9.9", True),
        ("0.0.0.0", False),
        ("*", False),
        ("example.com", False),
        ("10.0.0.1", False),
    ],
)
def test_only_loopback_is_closed_to_other_machines(host: str, is_loopback: bool) -> None:
    """A wildcard, a name and any other address may be reached from outside."""
    assert config.is_loopback(host) is is_loopback


def test_open_bind_is_refused_unless_insecure(tmp_path: Path) -> None:
    """Answering HTTP beyond loopback needs `--insecure`; the link is always encrypted."""
    flags = {"gateway.http": "0.0.0.0:80"}
    encrypted = load(flags={"gateway.link": "tcp://10.1.2.3:5555"}, environ=environ(tmp_path))
    config.refuse_open_bind(encrypted.gateway)
    closed = load(flags=flags, environ=environ(tmp_path))
    opened = load(flags={**flags, "gateway.insecure": True}, environ=environ(tmp_path))

    config.refuse_open_bind(opened.gateway)
    with pytest.raises(SettingError) as caught:
        config.refuse_open_bind(closed.gateway)

    assert caught.value.fault == "open_bind"
    assert "--insecure" in text(caught.value.text_key, "en", **caught.value.fields)


def test_ipv6_address_is_read_with_brackets() -> None:
    """An IPv6 host stands in brackets."""
    assert config.parse_http("[::1]:80") == ("::1", 80)
    assert config.parse_link("tcp://[::1]:0") == ("::1", 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ZSCRAPE_WEBHOOK_URL", "hooks.example.com"),
        ("ZSCRAPE_WEBHOOK_URL", "https://user:pass@hooks.example.com/"),
        ("ZSCRAPE_WEBHOOK_URL", "https://hooks.example.com:port/"),
        ("ZSCRAPE_WEBHOOK_EVENTS", "completed,ended"),
        ("ZSCRAPE_WEBHOOK_ALLOW", "10.0.0.0/8,hooks.example.com"),
    ],
)
def test_webhook_settings_are_checked(tmp_path: Path, name: str, value: str) -> None:
    """What can never be told, and networks that are none, are refused at start."""
    with pytest.raises(SettingError) as caught:
        load(environ=environ(tmp_path, **{name: value}))

    assert caught.value.source == name
    assert "pass" not in str(caught.value)


def test_webhook_settings_are_read(tmp_path: Path) -> None:
    """Networks may be single addresses; events keep their order."""
    gateway = load(
        environ=environ(
            tmp_path,
            ZSCRAPE_WEBHOOK_ALLOW="10.0.0.0/8, 192.168.1.5",
            ZSCRAPE_WEBHOOK_EVENTS="failed",
        )
    ).gateway

    assert gateway.webhook_allow == ("10.0.0.0/8", "192.168.1.5")
    assert gateway.webhook_events == ("failed",)
