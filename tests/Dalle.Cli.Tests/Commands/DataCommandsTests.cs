using System.Text;
using System.Text.Json;
using Dalle.Cli.Hosting;
using Dalle.Cli.Tests.Hosting;
using Dalle.Data.Datasets;
using Dalle.Data.Pictures;
using Dalle.Data.Testing;
using Dalle.Tests.Shared;
using Parquet;
using Parquet.Schema;

namespace Dalle.Cli.Tests.Commands;

/// <summary>The built program imports from every kind of source and says what it made.</summary>
public sealed class DataCommandsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Out => _folder.File("dataset");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Import_OfAFolder_ReportsWhatItTookAndWhatItLeftOut()
    {
        WritePictures(3);
        Write("pictures/page.jpg", "<html>"u8.ToArray());
        Write("pictures/page.txt", "a page"u8.ToArray());
        Write("pictures/silent.png", Png(200));

        var run = await DalleProcess.Run("data", "import", _folder.File("pictures"), "--out", Out, "--held-out", "0", "--licence", "CC0-1.0");

        Assert.Equal((ExitCodes.Success, ""), (run.ExitCode, run.Error));
        Assert.Contains($"3 samples (3 to train on, 0 held out) with 3 captions in {Out}.", run.Output, StringComparison.Ordinal);
        Assert.Matches(@"no caption +1 +silent\.png", run.Output);
        Assert.Matches(@"not a JPEG, PNG, WebP, GIF or BMP picture +1 +page\.jpg", run.Output);
        Assert.Contains("No sample is held out: training will be measured on pictures that it sees.", run.Output, StringComparison.Ordinal);
        Assert.Contains($"dalle data inspect {Out}", run.Output, StringComparison.Ordinal);
        using var dataset = ShardDataset.Open(Out);
        Assert.Equal(("CC0-1.0", "folder pictures"), (dataset.Manifest.Licence, dataset.Manifest.Source));
        Assert.Equal(["a grey square number 0"], dataset.GetCaptions(0));
    }

    [Fact]
    public async Task Import_OfEveryKindOfTable_GivesItsSamples()
    {
        WritePictures(3);
        Write("table.csv", "path,caption\npictures/0.png,\"zero, none\"\npictures/1.png,number one\n"u8.ToArray());
        Write("table.tsv", "text\tfile\nnumber two\t2.png\n"u8.ToArray());
        Write("annotations/captions.json", """
            {"images": [{"id": 7, "file_name": "0.png"}, {"id": 8, "file_name": "gone.png"}],
             "annotations": [{"image_id": 7, "caption": "zero again"}, {"image_id": 7, "caption": "still zero"}, {"image_id": 8, "caption": "not there"}]}
            """u8.ToArray());
        await WriteParquet("table.parquet", ["pictures/1.png", "pictures/2.png"], ["one in parquet", "two in parquet"]);

        Assert.Equal([["zero, none"], ["number one"]], await Captions("table.csv"));
        Assert.Equal([["number two"]], await Captions("table.tsv", "--path-column", "file", "--caption-column", "text", "--pictures", _folder.File("pictures")));
        Assert.Equal([["zero again", "still zero"]], await Captions("annotations/captions.json", "--pictures", _folder.File("pictures")));
        Assert.Equal([["one in parquet"], ["two in parquet"]], await Captions("table.parquet"));
    }

    [Fact]
    public async Task Import_OfItsOwnShards_GivesTheSameSamples()
    {
        WritePictures(5);
        var first = await Captions("pictures");
        Assert.Equal(first, await Captions(Path.GetFileName(_last)));
    }

    [Fact]
    public async Task Import_OfScenes_HoldsOutWhatTheyHoldOut()
    {
        var run = await DalleProcess.Run("data", "import", "scenes", "--out", Out, "--max-samples", "40", "--json");

        Assert.Equal(ExitCodes.Success, run.ExitCode);
        Assert.Equal(40, run.Json.GetProperty("manifest").GetProperty("training").GetProperty("samples").GetInt32());
        Assert.Equal(Out, run.Json.GetProperty("folder").GetString());
    }

    [Fact]
    public async Task Import_OfEmoji_FromThePackageFolder_NeedsNoNpm()
    {
        EmojiPackages.Write(_folder.File("packages"), Png(1), Png(2));

        var run = await DalleProcess.RunWithPath("", "data", "import", "emoji", "--out", Out, "--packages", _folder.File("packages"), "--held-out", "0", "--json");

        Assert.Equal((ExitCodes.Success, 2), (run.ExitCode, run.Json.GetProperty("manifest").GetProperty("training").GetProperty("samples").GetInt32()));
        Assert.Equal(1, run.Json.GetProperty("manifest").GetProperty("rejected").GetProperty("captionMissing").GetProperty("count").GetInt32());
    }

    [Fact]
    public async Task Import_OfEmoji_WithoutNpm_SaysWhatToInstall()
    {
        Refused(
            await DalleProcess.RunWithPath("", "data", "import", "emoji", "--out", Out, "--packages", _folder.File("packages")),
            "dalle: npm is needed to download the emoji and was not found. Install Node.js (it brings npm), or put emoji-datasource-google-16.0.0.tgz into the package folder yourself.");
    }

    [Fact]
    public async Task Import_OfEmoji_FetchesThePackagesWithNpm()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "The stand-in for npm is a shell script.");
        EmojiPackages.Write(_folder.File("registry"), Png(1), Png(2));
        // "npm pack NAME@VERSION --silent" leaves NAME-VERSION.tgz in its folder.
        WriteNpm($"""cp "{_folder.File("registry")}/$(echo "$2" | tr @ -).tgz" .""");

        var run = await DalleProcess.RunWithPath(PathWithNpm, "data", "import", "emoji", "--out", Out, "--packages", _folder.File("packages"), "--held-out", "0", "--json");

        Assert.Equal((ExitCodes.Success, ""), (run.ExitCode, string.Join('\n', run.ErrorLines.Where(line => line.StartsWith("dalle:", StringComparison.Ordinal)))));
        Assert.Equal([EmojiPackages.Artwork, EmojiPackages.Keywords], Directory.GetFiles(_folder.File("packages")).Select(Path.GetFileName).Order());
    }

    [Fact]
    public async Task Import_OfEmoji_WhereNpmFails_PassesItsReasonOn()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "The stand-in for npm is a shell script.");
        WriteNpm("echo 'npm error 404 no such package' >&2; exit 3");

        Refused(
            await DalleProcess.RunWithPath(PathWithNpm, "data", "import", "emoji", "--out", Out, "--packages", _folder.File("packages")),
            "dalle: npm could not fetch emoji-datasource-google@16.0.0 (exit code 3). npm error 404 no such package Install Node.js (it brings npm), "
            + "or put emoji-datasource-google-16.0.0.tgz into the package folder yourself.");
        Assert.Empty(Directory.GetFiles(_folder.File("packages")));
    }

    [Fact]
    public async Task Import_Interrupted_EndsInOrderAndLeavesNothing()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "There is no SIGINT to send.");
        using var watcher = new FileSystemWatcher(_folder.FullName, "npm-runs") { EnableRaisingEvents = true };
        var running = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        watcher.Created += (_, _) => running.TrySetResult();
        WriteNpm($"""touch "{_folder.File("npm-runs")}"; exec tail -f /dev/null""");

        using var import = DalleProcess.StartWithPath(PathWithNpm, "data", "import", "emoji", "--out", Out, "--packages", _folder.File("packages"));
        try
        {
            await running.Task.WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
            Assert.True(Directory.Exists(Out + ".importing"));
            using var kill = System.Diagnostics.Process.Start("kill", ["-INT", import.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
            await import.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
        }
        finally
        {
            if (!import.HasExited)
            {
                import.Kill(entireProcessTree: true);
            }
        }

        Assert.Equal(ExitCodes.Interrupted, import.ExitCode);
        Assert.Equal(["bin", "npm-runs", "packages"], Directory.GetFileSystemEntries(_folder.FullName).Select(Path.GetFileName).Order());
    }

    [Fact]
    public async Task Import_Options_ReachTheFilters()
    {
        WritePictures(20);
        Write("pictures/long.png", PngEncoder.Encode(new Picture(90, 30, new byte[90 * 30 * 3])));
        Write("pictures/long.txt", "a long dark picture"u8.ToArray());
        Write("pictures/name.png", Png(222));
        Write("pictures/name.txt", "IMG_0042.jpg"u8.ToArray());
        Write("pictures/repeat.png", Png(0));
        Write("pictures/repeat.txt", "ein Bild mit dem Hund und der Katze"u8.ToArray());

        async Task<string> Import(params string[] options)
        {
            var run = await DalleProcess.Run(["data", "import", _folder.File("pictures"), "--out", Out, "--replace", "--json", .. options]);
            Assert.True(run.ExitCode == ExitCodes.Success, run.Error);
            var manifest = run.Json.GetProperty("manifest");
            var rejected = manifest.GetProperty("rejected").EnumerateObject().Select(reason => $"{reason.Name} {reason.Value.GetProperty("count")}").Order();
            return $"{Samples(manifest, "training") + Samples(manifest, "heldOut")}: {string.Join(", ", rejected)}";
        }

        Assert.Equal("20: aspectRatio 1, captionBoilerplate 1, pictureRepeated 1", await Import());
        Assert.Equal("23: ", await Import("--max-aspect-ratio", "3", "--keep-boilerplate", "--keep-repeats"));
        Assert.Equal("20: aspectRatio 1, captionBoilerplate 1, captionLanguage 1", await Import("--english-only", "--keep-repeats"));
        Assert.Equal("1: captionTooShort 22", await Import("--min-caption-words", "8", "--keep-repeats", "--max-aspect-ratio", "3", "--held-out", "0"));
        Assert.Equal("7: ", await Import("--max-samples", "7"));

        await Import("--held-out", "0.5");
        using var dataset = ShardDataset.Open(Out);
        Assert.InRange(dataset.Count - dataset.TrainingCount, 5, 15);
    }

    [Fact]
    public async Task Import_IntoWhatIsThere_IsRefusedInOneLine()
    {
        WritePictures(2);
        Write("dataset/letter.txt", "Dear"u8.ToArray());
        Refused(
            await DalleProcess.Run("data", "import", _folder.File("pictures"), "--out", Out),
            $"dalle: '{Out}' already exists and is not empty. Choose another folder, remove this one, or replace a dataset with --replace.");
        Assert.Equal([Path.Combine(Out, "letter.txt")], Directory.GetFileSystemEntries(Out));
    }

    [Fact]
    public async Task Import_OfNothingUsable_SaysWhy_AndLeavesNothing()
    {
        Write("pictures/a.png", Png(1));
        Refused(
            await DalleProcess.Run("data", "import", _folder.File("pictures"), "--out", Out),
            "dalle: Nothing usable came from folder pictures: rejected: CaptionMissing 1 (such as 'a.png').");
        Assert.Equal([_folder.File("pictures")], Directory.GetFileSystemEntries(_folder.FullName));
    }

    [Fact]
    public async Task Import_OfAnUnknownSource_ListsThoseThereAre()
    {
        var run = await DalleProcess.Run("data", "import", _folder.File("nowhere"), "--out", Out);
        Assert.Equal(ExitCodes.Failure, run.ExitCode);
        Assert.StartsWith($"dalle: There is no file or folder '{_folder.File("nowhere")}'. A source is one of:", Assert.Single(run.ErrorLines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Inspect_CountsAndDrawsAContactSheet()
    {
        WritePictures(6);
        await DalleProcess.Run("data", "import", _folder.File("pictures"), "--out", Out);

        var text = await DalleProcess.Run("data", "inspect", Out, "--out", _folder.File("sheet.png"), "-n", "4");
        var json = await DalleProcess.Run("data", "inspect", Out, "--out", _folder.File("sheet.png"), "-n", "4", "--json");

        Assert.Equal((ExitCodes.Success, ExitCodes.Success), (text.ExitCode, json.ExitCode));
        Assert.Contains("6 samples (", text.Output, StringComparison.Ordinal);
        Assert.Matches("4 to <6 +6 +\u2588", text.Output);
        Assert.Matches("0.95 to <1.05 +6 +\u2588", text.Output);
        Assert.Contains($"Contact sheet: {_folder.File("sheet.png")}", text.Output, StringComparison.Ordinal);
        Assert.Equal(6, json.Json.GetProperty("captionWords").EnumerateArray().Single(bar => bar.GetProperty("label").GetString() == "4 to <6").GetProperty("count").GetInt32());
        Assert.Equal("folder pictures", json.Json.GetProperty("manifest").GetProperty("source").GetString());
        var sheet = PictureDecoder.Decode(await File.ReadAllBytesAsync(_folder.File("sheet.png"), TestContext.Current.CancellationToken));
        Assert.Equal((2 * 136) + 8, sheet.Width);
    }

    [Fact]
    public async Task Inspect_OfWhatIsNoDataset_OrADamagedOne_SaysSo()
    {
        WritePictures(2);
        Refused(
            await DalleProcess.Run("data", "inspect", _folder.File("pictures"), "--out", _folder.File("sheet.png")),
            $"dalle: '{_folder.File("pictures")}' is not a dataset: it has no manifest.json. Make one with 'dalle data import SOURCE --out DIR'.");

        await DalleProcess.Run("data", "import", _folder.File("pictures"), "--out", Out, "--held-out", "0");
        var shard = Path.Combine(Out, "train-00000.tar");
        var bytes = await File.ReadAllBytesAsync(shard, TestContext.Current.CancellationToken);
        bytes[520] ^= 1;
        await File.WriteAllBytesAsync(shard, bytes, TestContext.Current.CancellationToken);
        Refused(
            await DalleProcess.Run("data", "inspect", Out, "--out", _folder.File("sheet.png")),
            $"dalle: '{shard}' has changed since it was imported: sample 0 is not what it was. Import the dataset again.");
        Assert.False(File.Exists(_folder.File("sheet.png")));
    }

    [Fact]
    public async Task Train_OnAFolderThatWasNotImported_SaysHowTo()
    {
        WritePictures(1);
        Refused(
            await DalleProcess.Run("train", "--preset", "test", "--data", _folder.File("pictures"), "--model", "m", "--data-dir", _folder.File("home")),
            $"dalle: '{_folder.File("pictures")}' is not a dataset yet. Import it first: dalle data import {_folder.File("pictures")} --out DIR, then name DIR.");
    }

    /// <summary>The way of the README, with a model that learns nothing.</summary>
    [Fact]
    public async Task Train_OnAnImportedFolder_PublishesAModel_ThatMovesToAnotherMachine()
    {
        WritePictures(12);
        await DalleProcess.Run("data", "import", _folder.File("pictures"), "--out", Out, "--held-out", "0");
        string[] home = ["--data-dir", _folder.File("home")];

        var train = await DalleProcess.Run(["train", "--preset", "test", "--data", Out, "--model", "greys", "--dvae-updates", "2", "--prior-updates", "2", "--previews", _folder.File("previews"), .. home]);
        var model = await DalleProcess.Run(["models", "show", "greys", "--json", .. home]);

        Assert.True(train.ExitCode == ExitCodes.Success, train.Error);
        Assert.Contains("dvae 2: training psnr", train.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("held-out", train.Output, StringComparison.Ordinal);
        Assert.True(model.Json.GetProperty("metrics").TryGetProperty("trainingPsnr", out _), model.Output);

        string[] elsewhere = ["--data-dir", _folder.File("elsewhere")];
        var export = await DalleProcess.Run(["models", "export", "greys", "--out", _folder.File("greys.model"), .. home]);
        var import = await DalleProcess.Run(["models", "import", _folder.File("greys.model"), .. elsewhere]);
        Assert.True(export.ExitCode == ExitCodes.Success, export.Error);
        Assert.True(import.ExitCode == ExitCodes.Success, import.Error);
        Assert.Equal(ExitCodes.Success, (await DalleProcess.Run(["generate", "grey", "-n", "1", "--out", _folder.File("drawn"), .. elsewhere])).ExitCode);
        Assert.Single(Directory.GetFiles(_folder.File("drawn")));

        foreach (var preview in (string[])["dvae-2.png", "prior-2.png"])
        {
            var png = await File.ReadAllBytesAsync(Path.Combine(_folder.File("previews"), preview), TestContext.Current.CancellationToken);
            Assert.True(PictureDecoder.Decode(png).Width > 0);
        }
    }

    private string _last = "";

    /// <summary>Imports a source of the test's folder and gives back the captions of all samples.</summary>
    private async Task<string[][]> Captions(string source, params string[] options)
    {
        _last = _folder.File($"dataset-{Path.GetFileName(source)}");
        var run = await DalleProcess.Run(["data", "import", _folder.File(source), "--out", _last, "--held-out", "0", .. options]);
        Assert.True(run.ExitCode == ExitCodes.Success, run.Error);
        using var dataset = ShardDataset.Open(_last);
        return [.. Enumerable.Range(0, dataset.Count).Select(index => dataset.GetCaptions(index).ToArray())];
    }

    private static void Refused(DalleProcess.Result run, string line)
    {
        Assert.Equal(ExitCodes.Failure, run.ExitCode);
        Assert.Equal([line], run.ErrorLines);
        Assert.Empty(run.Output);
    }

    private static int Samples(JsonElement manifest, string part) => manifest.GetProperty(part).GetProperty("samples").GetInt32();

    /// <summary>Grey squares, every one of another grey, with captions in text files.</summary>
    private void WritePictures(int count)
    {
        for (var i = 0; i < count; i++)
        {
            Write($"pictures/{i}.png", Png((byte)i));
            Write($"pictures/{i}.txt", Encoding.UTF8.GetBytes($"a grey square number {i}"));
        }
    }

    private static byte[] Png(byte grey) => PngEncoder.Encode(new Picture(40, 40, [.. Enumerable.Repeat(grey, 40 * 40 * 3)]));

    private void Write(string name, byte[] content)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_folder.File(name))!);
        File.WriteAllBytes(_folder.File(name), content);
    }

    private async Task WriteParquet(string name, string[] paths, string[] captions)
    {
        var schema = new ParquetSchema(new DataField<string>("path"), new DataField<string>("caption"));
        await using var file = File.Create(_folder.File(name));
        await using var writer = await ParquetWriter.CreateAsync(schema, file, cancellationToken: TestContext.Current.CancellationToken);
        using var group = writer.CreateRowGroup();
        await group.WriteAsync(schema.DataFields[0], paths);
        await group.WriteAsync(schema.DataFields[1], captions);
    }

    private string PathWithNpm => $"{_folder.File("bin")}:/usr/bin:/bin";

    /// <summary>A program that is found as npm before any other.</summary>
    private void WriteNpm(string script)
    {
        Write("bin/npm", Encoding.UTF8.GetBytes($"#!/bin/sh\n{script}\n"));
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(_folder.File("bin/npm"), UnixFileMode.UserRead | UnixFileMode.UserExecute);
        }
    }
}
