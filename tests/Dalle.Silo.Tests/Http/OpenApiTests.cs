using System.Runtime.CompilerServices;

namespace Dalle.Silo.Tests.Http;

public sealed class OpenApiTests(HttpSilo silo) : IClassFixture<HttpSilo>
{
    /// <summary>On a difference the new document is written beside the approved one, to be looked at and renamed.</summary>
    [Fact]
    public async Task Document_IsTheApprovedOne()
    {
        var document = await silo.Http.GetStringAsync("/openapi/v1.json", HttpSilo.Token);

        var approved = Path.Combine(Folder(), "openapi.v1.json");
        var received = Path.ChangeExtension(approved, ".received.json");
        if (File.Exists(approved) && (await File.ReadAllTextAsync(approved, HttpSilo.Token)).Trim().ReplaceLineEndings() == document.Trim().ReplaceLineEndings())
        {
            File.Delete(received);
            return;
        }

        await File.WriteAllTextAsync(received, document + "\n", HttpSilo.Token);
        Assert.Fail($"The document is not the approved one. Look at {received}; if it is right, rename it.");
    }

    private static string Folder([CallerFilePath] string source = "") => Path.GetDirectoryName(source)!;
}
