"""The Piwigo versions that the sandbox can simulate, and the differences between them."""

from dataclasses import dataclass

VERSIONS = ("13.8.0", "14.5.0", "15.7.0", "16.4.0", "17.0.0beta1")

PICTURE_TYPES = ("jpg", "jpeg", "png", "gif", "webp")

_SINCE_13 = """
    pwg.activity.downloadLog pwg.activity.getList pwg.caddie.add pwg.categories.add
    pwg.categories.calculateOrphans pwg.categories.delete pwg.categories.deleteRepresentative
    pwg.categories.getAdminList pwg.categories.getImages pwg.categories.getList
    pwg.categories.move pwg.categories.refreshRepresentative pwg.categories.setInfo
    pwg.categories.setRank pwg.categories.setRepresentative pwg.extensions.checkUpdates
    pwg.extensions.ignoreUpdate pwg.extensions.update pwg.getCacheSize pwg.getInfos
    pwg.getMissingDerivatives pwg.getVersion pwg.groups.add pwg.groups.addUser pwg.groups.delete
    pwg.groups.deleteUser pwg.groups.duplicate pwg.groups.getList pwg.groups.merge
    pwg.groups.setInfo pwg.history.log pwg.history.search pwg.images.add pwg.images.addChunk
    pwg.images.addComment pwg.images.addFile pwg.images.addSimple pwg.images.checkFiles
    pwg.images.checkUpload pwg.images.delete pwg.images.deleteOrphans pwg.images.emptyLounge
    pwg.images.exist pwg.images.formats.delete pwg.images.formats.searchImage
    pwg.images.getInfo pwg.images.rate pwg.images.search pwg.images.setInfo
    pwg.images.setMd5sum pwg.images.setPrivacyLevel pwg.images.setRank pwg.images.syncMetadata
    pwg.images.upload pwg.images.uploadAsync pwg.images.uploadCompleted pwg.permissions.add
    pwg.permissions.getList pwg.permissions.remove pwg.plugins.getList
    pwg.plugins.performAction pwg.rates.delete pwg.session.getStatus pwg.session.login
    pwg.session.logout pwg.tags.add pwg.tags.delete pwg.tags.duplicate pwg.tags.getAdminList
    pwg.tags.getImages pwg.tags.getList pwg.tags.merge pwg.tags.rename
    pwg.themes.performAction pwg.users.add pwg.users.delete pwg.users.favorites.add
    pwg.users.favorites.getList pwg.users.favorites.remove pwg.users.getAuthKey
    pwg.users.getList pwg.users.preferences.set pwg.users.setInfo reflection.getMethodDetails
    reflection.getMethodList
"""
_SINCE = {
    13: _SINCE_13,
    14: "pwg.images.filteredSearch.create pwg.images.setCategory",
    15: "pwg.users.generatePasswordLink pwg.users.setMainUser",
    16: """
        pwg.userComments.delete pwg.userComments.getList pwg.userComments.validate
        pwg.users.api_key.create pwg.users.api_key.edit pwg.users.api_key.get
        pwg.users.api_key.revoke pwg.users.setMyInfo
    """,
}


@dataclass(frozen=True, slots=True)
class Release:
    """A Piwigo release; its major number decides most rules."""

    version: str

    @property
    def major(self) -> int:
        """The number before the first dot."""
        return int(self.version.split(".")[0])

    @property
    def methods(self) -> list[str]:
        """The names in the order of reflection.getMethodList."""
        names = [n for since, text in _SINCE.items() if since <= self.major for n in text.split()]
        return sorted(names, key=str.lower)

    @property
    def file_types(self) -> tuple[str, ...]:
        """The extensions accepted by default."""
        return PICTURE_TYPES if self.major >= 14 else PICTURE_TYPES[:-1]

    @property
    def detects_duplicates(self) -> bool:
        """Whether a new installation detects duplicates by their MD5."""
        return self.major >= 14

    @property
    def mixes_md5s(self) -> bool:
        """Whether setMd5sum may give MD5s to the wrong photos: before 15.4."""
        return self.major < 15

    @property
    def caches_users(self) -> bool:
        """Whether requests sleep while another one rebuilds their user's cache."""
        return self.major in {15, 16}

    @property
    def random_paths(self) -> bool:
        """Whether equal contents stored within one second get two files."""
        return self.major >= 15
